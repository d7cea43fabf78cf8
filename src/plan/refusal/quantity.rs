//! Quantities of Kubernetes as numbers, to be compared.

/// By suffix; the longer ones first, since `Mi` ends like no other but `m` and `M` are not the same.
const SUFFIXES: [(&str, f64); 15] = [
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("Ei", 1_152_921_504_606_846_976.0),
    ("n", 1e-9),
    ("u", 1e-6),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("E", 1e18),
];

/// The number that a quantity such as `16Mi`, `500m` or `1e3` stands for; none where it is no quantity.
pub(super) fn quantity(text: &str) -> Option<f64> {
    let number = |text: &str| text.parse().ok().filter(|it: &f64| it.is_finite());
    number(text).or_else(|| {
        let mut suffixes = SUFFIXES.into_iter();
        suffixes.find_map(|(suffix, factor)| Some(number(text.strip_suffix(suffix)?)? * factor))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_reads_them() {
        for (text, expected) in [
            ("0", Some(0.0)),
            ("500m", Some(0.5)),
            ("16Mi", Some(16.0 * 1024.0 * 1024.0)),
            ("1.5Gi", Some(1.5 * 1024.0 * 1024.0 * 1024.0)),
            ("2k", Some(2000.0)),
            ("1e3", Some(1000.0)),
            ("1E", Some(1e18)),
            ("", None),
            ("Mi", None),
            ("lots", None),
            ("inf", None),
        ] {
            assert_eq!(quantity(text), expected, "{text}");
        }
    }
}
