//! Calendly: bookings made and cancelled (developer.calendly.com, webhook payloads). Moving a booking is a cancellation
//! that says so and a new booking that names the old one.

use serde_json::{Map, Value};

use super::{Booking, Cancellation, Canonical, Event, NormaliseError, Normalised, Raw, lead, read};

pub(super) fn read(raw: &Raw<'_>, settings: &Value) -> Result<Normalised, NormaliseError> {
    let body = read::json(raw)?;
    let name = read::required(&body, "/event")?;
    let at = read::rfc3339(&body, "/created_at")?;
    let payload = body.get("payload").ok_or_else(|| read::missing("/payload"))?;
    let uri = read::text(payload, "/uri");
    let key = uri.as_ref().map_or_else(|| raw.delivery_key.to_owned(), |uri| format!("{uri}:{name}"));
    let event = match name.as_str() {
        "invitee.created" => made(payload, settings)?,
        "invitee.canceled" => cancelled(payload)?,
        _ => {
            let name = format!("calendly.{name}");
            return Ok(Normalised::one(Canonical::generic(key, at, name, payload.clone())));
        }
    };
    Ok(Normalised::one(Canonical::new(key, at, event)))
}

fn made(payload: &Value, settings: &Value) -> Result<Event, NormaliseError> {
    let mut answers = Map::new();
    // The answers first: a question called "e-mail" does not stand above the invitee's own address.
    for answer in read::items(payload, "/questions_and_answers") {
        if let (Some(question), Some(text)) = (read::text(answer, "/question"), read::text(answer, "/answer"))
        {
            answers.insert(question, text.into());
        }
    }
    let own = ["email", "name", "first_name", "last_name"].map(|name| (name, format!("/{name}")));
    for (name, pointer) in own {
        if let Some(text) = read::text(payload, &pointer) {
            answers.insert(name.to_owned(), text.into());
        }
    }
    if let Some(phone) = read::text(payload, "/text_reminder_number") {
        answers.insert("phone".to_owned(), phone.into());
    }
    for (name, value) in payload.get("tracking").and_then(Value::as_object).into_iter().flatten() {
        if name.starts_with("utm_") && value.is_string() {
            answers.insert(name.clone(), value.clone());
        }
    }
    let scheduled =
        payload.get("scheduled_event").ok_or_else(|| read::missing("/payload/scheduled_event"))?;
    let place = ["/location/join_url", "/location/location"];
    Ok(Event::BookingMade(Box::new(Booking {
        provider_ref: read::required(payload, "/uri")?,
        lead: lead::pick(answers, settings, lead::Names::Usual, "calendly")?,
        title: read::text(scheduled, "/name"),
        starts_at: read::rfc3339(scheduled, "/start_time")?,
        ends_at: read::rfc3339(scheduled, "/end_time").ok(),
        timezone: read::text(payload, "/timezone"),
        location: place.iter().find_map(|pointer| read::text(scheduled, pointer)),
        replaces: read::text(payload, "/old_invitee"),
    })))
}

fn cancelled(payload: &Value) -> Result<Event, NormaliseError> {
    Ok(Event::BookingCancelled(Box::new(Cancellation {
        provider_ref: read::required(payload, "/uri")?,
        identity: read::identity(read::text(payload, "/email"), read::text(payload, "/text_reminder_number")),
        name: read::text(payload, "/name"),
        reason: read::text(payload, "/cancellation/reason"),
        rescheduled: read::flag(payload, "/rescheduled"),
    })))
}
