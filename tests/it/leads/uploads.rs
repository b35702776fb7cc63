//! Files on their way in: what is wrong with them, and those that come in parts.

use reqwest::Method;
use serde_json::json;

use super::imports::{counts, done, import, send, total};
use crate::support::Tenant;

#[tokio::test]
async fn what_is_wrong_with_a_file_is_said_and_nothing_of_it_is_written() {
    let tenant = Tenant::new().await;
    let utf16: Vec<u8> = "email\na@example.com\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let with_mark = [b"\xff\xfe".to_vec(), utf16.clone()].concat();
    let wide = format!("{}\n", (0..10_000).map(|n| format!("c{n}")).collect::<Vec<_>>().join(","));
    for (file, code) in [
        (utf16, "wrong_encoding"),
        (with_mark, "wrong_encoding"),
        (b"Vorname;M\xfcll\n".to_vec(), "wrong_encoding"),
        (b"email,name,email\n".to_vec(), "duplicate_column"),
        (b"colour,size\nred,4\n".to_vec(), "no_known_column"),
        (wide.into_bytes(), "too_many_columns"),
        (Vec::new(), "empty_file"),
        (b"\xef\xbb\xbf\r\n".to_vec(), "empty_file"),
    ] {
        send(&tenant, Method::POST, "/api/leads/import", "text/csv", file).await.expect_invalid("", code);
    }
    let good: String = (0..600).map(|n| format!("good{n}@example.com,Name\n")).collect();
    for (file, code) in [
        (
            format!("email,name\n{good}")
                .into_bytes()
                .into_iter()
                .chain(*b"late@example.com,M\xfcller\n")
                .collect::<Vec<u8>>(),
            "wrong_encoding",
        ),
        (format!("email,name\n{good}late@example.com,\"Never closed").into_bytes(), "unterminated_quote"),
        (
            format!("email,name\n{good}late@example.com,\"{}", "x".repeat(600_000)).into_bytes(),
            "row_too_long",
        ),
    ] {
        let job = import(&tenant, "", "text/csv", file).await;
        assert_eq!((&job["status"], &job["error"]["code"]), (&json!("failed"), &json!(code)), "{job}");
        assert!(job["error"]["detail"].as_str().unwrap().contains("60"), "the line is named: {job}");
    }
    for file in ["[{\"email\":\"a@example.com\"}", "[{}]]", "nothing"] {
        let job = import(&tenant, "", "application/json", file).await;
        assert_eq!(job["error"]["code"], "malformed_json", "{file}: {job}");
    }
    assert_eq!(total(&tenant, "").await, 0);
    for (query, pointer, code) in [
        ("?mode=replace", "?mode", "unknown_value"),
        ("?map.Mail=colour", "?map.Mail", "unknown_field"),
        ("?map.Mail=email", "", "unknown_column"),
        ("?dry=true", "?dry", "unknown_parameter"),
    ] {
        send(&tenant, Method::POST, &format!("/api/leads/import{query}"), "text/csv", "email\n")
            .await
            .expect_invalid(pointer, code);
    }
    send(&tenant, Method::POST, "/api/leads/import", "image/png", "email\n")
        .await
        .expect_problem(415, "unsupported_media_type");
    let large =
        send(&tenant, Method::POST, "/api/leads/import", "text/csv", vec![b'x'; 4 * 1024 * 1024 + 1]).await;
    assert!(large.expect_problem(413, "body_too_large")["detail"].as_str().unwrap().contains("upload=parts"));
}

#[tokio::test]
async fn a_large_file_comes_in_parts_cut_anywhere_and_in_any_order() {
    let tenant = Tenant::new().await;
    let answer =
        send(&tenant, Method::POST, "/api/leads/import?upload=parts&mode=create", "text/csv", "").await;
    let job = answer.expect(201);
    let path = format!("/api/jobs/{}", job["id"].as_str().unwrap());
    assert_eq!(answer.header("location"), path);
    tenant.post(&format!("{path}/start"), json!({})).await.expect_problem(409, "missing_parts");

    let file: String = (0..3_000).map(|n| format!("M\u{fc}ller {n},\"m{n}@example.com\"\r\n")).collect();
    let file = format!("\u{feff}Name,E-Mail\r\n{file}").into_bytes();
    let cuts = [0, 2, 31, 32, 33, 70_001, file.len()];
    let part = |n: usize| file[cuts[n - 1]..cuts[n]].to_vec();
    for n in [6, 1, 5, 3, 2, 1] {
        let kept =
            send(&tenant, Method::PUT, &format!("{path}/parts/{n}"), "application/octet-stream", part(n))
                .await
                .expect(200);
        assert_eq!((&kept["part"], kept["bytes"].as_u64()), (&json!(n), Some(part(n).len() as u64)));
    }
    let missing = tenant.post(&format!("{path}/start"), json!({})).await.expect_problem(409, "missing_parts");
    assert_eq!(missing["missing"], json!([4]));
    send(&tenant, Method::PUT, &format!("{path}/parts/4"), "application/octet-stream", part(4))
        .await
        .expect(200);
    tenant.post(&format!("{path}/start"), json!({})).await.expect(202);
    let ended = done(&tenant, &job).await;
    assert_eq!((&ended["status"], counts(&ended)), (&json!("completed"), [3_000, 0, 0, 0]), "{ended}");
    assert_eq!(total(&tenant, "&search=Müller").await, 3_000);
    tenant.get(&format!("{path}/parts/1")).await.expect_problem(404, "not_found");

    for (number, status) in [("0", 422), ("1001", 422), ("x", 404)] {
        send(&tenant, Method::PUT, &format!("{path}/parts/{number}"), "text/csv", "x")
            .await
            .expect_status(status);
    }
}

#[tokio::test]
async fn an_upload_beyond_the_bound_is_refused_with_a_word() {
    let tenant = Tenant::new().await;
    let job = send(&tenant, Method::POST, "/api/leads/import?upload=parts", "text/csv", "").await.expect(201);
    let path = format!("/api/jobs/{}", job["id"].as_str().unwrap());
    let part = vec![b'x'; 4 * 1024 * 1024];
    for n in 1..=25 {
        send(&tenant, Method::PUT, &format!("{path}/parts/{n}"), "text/csv", part.clone()).await.expect(200);
    }
    send(&tenant, Method::PUT, &format!("{path}/parts/26"), "text/csv", "x")
        .await
        .expect_problem(413, "upload_too_large");
    tenant.post(&format!("{path}/cancel"), json!({})).await.expect(202);
}
