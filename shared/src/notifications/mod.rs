//! What colleagues are told inside the product.
