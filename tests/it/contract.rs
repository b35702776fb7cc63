//! The law of the API, over all routes.

use std::path::Path;

#[test]
fn the_committed_description_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let committed = std::fs::read_to_string(path).unwrap();
    let generated = local::functions::document().unwrap();
    assert!(
        committed == generated,
        "docs/openapi.json is stale. You changed a route or a shape; run `make openapi` and commit the result"
    );
}
