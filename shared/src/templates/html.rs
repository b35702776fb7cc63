//! The plain text beside an HTML e-mail.

/// Readable text of an HTML document: tags dropped, blocks ended by line breaks, the common entities read.
pub(super) fn to_text(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some((before, tail)) = rest.split_once('<') {
        text.push_str(before);
        let Some((tag, after)) = tail.split_once('>') else {
            rest = "";
            break;
        };
        let name: String = tag
            .trim_start_matches('/')
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .collect::<String>()
            .to_lowercase();
        let closes = tag.starts_with('/');
        rest = match name.as_str() {
            "style" | "script" | "head" | "title" if !closes => skip_to(after, &name),
            _ => after,
        };
        match name.as_str() {
            "br" | "hr" => text.push('\n'),
            "p" | "div" | "li" | "tr" | "table" | "ul" | "ol" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6"
                if closes =>
            {
                text.push('\n');
            }
            _ => {}
        }
    }
    text.push_str(rest);
    let text = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#x27;", "'"),
        ("&#39;", "'"),
        ("&#x2f;", "/"),
        ("&nbsp;", " "),
        ("&amp;", "&"),
    ]
    .iter()
    .fold(text, |text, (entity, letter)| text.replace(entity, letter));
    let mut lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.dedup_by(|later, earlier| later.is_empty() && earlier.is_empty());
    lines.join("\n").trim().to_owned()
}

/// What comes after the element's end tag; nothing when it has none.
fn skip_to<'a>(html: &'a str, name: &str) -> &'a str {
    let end = format!("</{name}");
    let place =
        html.as_bytes().windows(end.len()).position(|window| window.eq_ignore_ascii_case(end.as_bytes()));
    place
        .and_then(|place| html.get(place..))
        .and_then(|tail| tail.split_once('>'))
        .map_or("", |(_, after)| after)
}

#[cfg(test)]
mod tests {
    use super::to_text;

    #[test]
    fn blocks_become_lines_and_entities_letters() {
        let html = "<html><head><title>x</title></head><STYLE>p{}</STYLE><h1>Hi &amp; welcome</h1>\n<p>One<br>two</p><p>a &lt; b</p>";
        assert_eq!(to_text(html), "Hi & welcome\n\nOne\ntwo\na < b");
        assert_eq!(to_text("<style>never closed"), "");
        assert_eq!(to_text("a < b"), "a");
    }
}
