//! The output store: every line on a volume, acknowledged once it is synced.
