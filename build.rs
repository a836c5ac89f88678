//! Link arguments of the dynamic library.
//!
//! SONAME with the ABI's number; symbols of linked-in archives hidden: a host that has its own copy of one must not get ours; never unloaded.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let os = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if os == "linux" {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libseqseg.so.1");
        println!("cargo:rustc-cdylib-link-arg=-Wl,--exclude-libs,ALL");
        // Worker threads and ONNX Runtime outlive a host's dlclose: the code must stay.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
