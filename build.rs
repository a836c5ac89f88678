//! Link arguments of the dynamic library.
//!
//! SONAME with the ABI's number; symbols of linked-in archives hidden: a host that has its own copy
//! of one must not get ours; never unloaded.

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=RUSTC_LINKER");
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    if variable("CARGO_CFG_TARGET_OS") == "linux" {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libnasoseg.so.1");
        if variable("RUSTC_LINKER").contains("zig") {
            // zig's linker (the wheel's) knows no --exclude-libs, but takes this list in the place
            // of rustc's, which names symbols of crates too.
            let list = Path::new(&variable("OUT_DIR")).join("exports.map");
            std::fs::write(&list, "{ global: nasoseg_*; local: *; };\n")
                .unwrap_or_else(|e| panic!("{}: {e}", list.display()));
            println!("cargo:rustc-cdylib-link-arg=-Wl,--version-script={}", list.display());
        } else {
            println!("cargo:rustc-cdylib-link-arg=-Wl,--exclude-libs,ALL");
        }
        // Worker threads and ONNX Runtime outlive a host's dlclose: the code must stay.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
