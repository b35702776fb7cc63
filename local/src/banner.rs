//! What `make run` prints: an address, a login, and lines to paste that walk the product's story.

use std::fmt::Write;

use shared::{demo::DemoTenant, webhooks::verify};

/// Where the API and the page about it are.
#[must_use]
pub fn addresses(base: &str) -> String {
    format!("Wellspring listens on {base}\nEvery operation, to read and to try: {base}/api/docs")
}

/// The lines for a demo business. `signer` is the path of this binary, which signs the Stripe event when it is pasted:
/// Stripe's signatures are good for five minutes.
#[must_use]
pub fn lines(base: &str, tenant: &DemoTenant, signer: &str) -> String {
    let mut text = String::new();
    let mut say = |what: &str, line: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\n# {what}\n{line}");
    };
    say(
        &format!("log in ({} at {})", tenant.owner, tenant.name),
        &format!(
            "TOKEN=$(curl -s {base}/api/auth/login -H 'content-type: application/json' \\\n  -d '{{\"email\":\"{}\",\"password\":\"{}\"}}' \
             | sed 's/.*\"accessToken\":\"\\([^\"]*\\)\".*/\\1/')",
            tenant.owner,
            shared::demo::PASSWORD
        ),
    );
    say("leads, newest first", &curl(base, "/api/leads?status=new,qualified&tag=yoga&limit=3"));
    say("a website form is filled in", &form(base, tenant));
    say("Stripe says that somebody paid", &stripe(base, tenant, signer));
    say("somebody writes a text message", &twilio(base, tenant));
    say("what the automation did with them, latest first", &curl(base, "/api/automations/runs?limit=3"));
    say("a run with its steps, and its lead with conversations", &detail(base));
    say("what the sandbox provider was given to send", &curl(base, "/api/messages/sandbox?limit=3"));
    text
}

fn curl(base: &str, path: &str) -> String {
    format!("curl -s \"{base}{path}\" -H \"authorization: Bearer $TOKEN\"")
}

fn form(base: &str, tenant: &DemoTenant) -> String {
    format!(
        "curl -si {base}/api/webhooks/forms/{} -d 'name=Frida Form' -d 'email=frida.form@example.com' \\\n  \
         --data-urlencode 'message=Do you have a trial class?'",
        tenant.form_token
    )
}

fn stripe(base: &str, tenant: &DemoTenant, signer: &str) -> String {
    let body = r#"{"id":"evt_demo_1","object":"event","type":"checkout.session.completed","created":1767225600,"livemode":false,"data":{"object":{"id":"cs_demo_1","object":"checkout.session","mode":"payment","payment_status":"paid","payment_intent":"pi_demo_1","amount_total":4900,"currency":"eur","customer_details":{"email":"paula.payer@example.com","name":"Paula Payer"},"metadata":{}}}}"#;
    format!(
        "BODY='{body}'\ncurl -si {base}/api/webhooks/stripe/{} -H 'content-type: application/json' \\\n  \
         -H \"stripe-signature: $({signer} sign-stripe '{}' \"$BODY\")\" -d \"$BODY\"",
        tenant.stripe_token, tenant.stripe_secret
    )
}

fn twilio(base: &str, tenant: &DemoTenant) -> String {
    let url = format!("{base}/api/webhooks/twilio/{}", tenant.twilio_token);
    let body = "MessageSid=SMdemo00000000000000000000000000001&AccountSid=ACdemo&From=%2B491713920042&To=%2B491713920000\
                &Body=Is+there+a+class+tonight%3F&NumMedia=0";
    let signature = verify::twilio::sign(&url, body.as_bytes(), &tenant.twilio_secret);
    format!("curl -si {url} -H 'x-twilio-signature: {signature}' -d '{body}'")
}

fn detail(base: &str) -> String {
    let list = curl(base, "/api/automations/runs?limit=1");
    format!(
        "RUN=$({list}); ID=$(echo \"$RUN\" | sed 's/.*\"items\":\\[{{\"id\":\"\\([^\"]*\\)\".*/\\1/')\n\
         LEAD=$(echo \"$RUN\" | sed 's/.*\"leadId\":\"\\([^\"]*\\)\".*/\\1/')\n{}\n{}",
        curl(base, "/api/automations/runs/$ID"),
        curl(base, "/api/leads/$LEAD?expand=activities,conversations")
    )
}

/// The header of a Stripe event that is signed now.
#[must_use]
pub fn sign_stripe(secret: &str, body: &str) -> String {
    verify::stripe::sign(shared::clock::now().timestamp(), body.as_bytes(), secret)
}
