//! Where the next chunk is: `Link: <…>; rel="next"` (RFC 8288).

/// The value of the `Link` header: the same request, behind the cursor. It names no host, so it holds behind whatever name
/// the API is reached by.
#[must_use]
pub fn next(asked: &http::Uri, cursor: &str) -> String {
    let query = asked.query().unwrap_or_default();
    let kept = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != "cursor");
    let mut next = form_urlencoded::Serializer::new(String::new());
    next.extend_pairs(kept).append_pair("cursor", cursor);
    format!("<{}?{}>; rel=\"next\"", asked.path(), next.finish())
}

#[cfg(test)]
mod tests {
    use super::next;

    #[test]
    fn the_next_chunk_is_the_same_request_behind_the_cursor() {
        let asked = "/api/export?format=csv&cursor=old&surface=a%26b".parse().unwrap();
        assert_eq!(next(&asked, "new"), "</api/export?format=csv&surface=a%26b&cursor=new>; rel=\"next\"");
    }
}
