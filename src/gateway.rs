//! The aggregated API: serves the lines of a Job to those who may read them, and holds nothing itself.
