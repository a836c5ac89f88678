//! What people must read, on standard error.

/// Prints warnings, and what is shown beside a demo model's result.
pub fn print(warnings: &[impl AsRef<str>], demo: Option<&str>) {
    for warning in warnings {
        eprintln!("nasoseg: warning: {}", warning.as_ref());
    }
    if let Some(demo) = demo {
        eprintln!("nasoseg: {demo}");
    }
}
