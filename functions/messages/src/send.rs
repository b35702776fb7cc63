//! Sending to a person.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use shared::{
    app::App,
    auth::{Permission, WriteMessages},
    db::OnConstraint,
    http::{Accepted, ApiResult, Check, Cx, FieldErrors, Problem, Valid},
    ids::new_id,
    leads::{self, Hidden, Identities, Known, Lead, NewLead, Upserted},
    messages::{self, Channel, Planned, PlannedMessage, Purpose, Status, Verdict, unsubscribe},
    private::Private,
    templates::{self, Composed},
    values::{Email, Line, Prose, Word},
};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::hasher;

/// A message that is to be sent.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewMessage {
    /// The person; or `to`.
    #[serde(default)]
    lead_id: Option<Uuid>,
    /// An address or number. Without `leadId` the person who has it, or a new lead.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    to: Option<Private<String>>,
    /// `email`, `sms`, `whatsapp` or `inApp`.
    channel: Channel,
    /// The template; or `body`.
    #[serde(default)]
    template_id: Option<Uuid>,
    /// E-mail: the subject, in place of the template's.
    #[serde(default)]
    subject: Option<Line>,
    /// The text; it may hold variables as a template does.
    #[serde(default)]
    body: Option<Prose>,
    /// Values of `{{ vars.… }}`.
    #[serde(default)]
    #[schema(value_type = Object)]
    variables: Map<String, Value>,
    /// Not before; at once when left out.
    #[serde(default)]
    send_at: Option<chrono::DateTime<chrono::Utc>>,
    /// `transactional` or `marketing`; the template's, or else transactional, when left out.
    #[serde(default)]
    purpose: Option<Purpose>,
    /// The account to send through; the channel's default when left out.
    #[serde(default)]
    connection_id: Option<Uuid>,
    /// Whether a variable without a value refuses the message (422).
    #[serde(default)]
    strict: bool,
}

impl Check for NewMessage {
    fn check(&self, errors: &mut FieldErrors) {
        if self.lead_id.is_none() && self.to.is_none() {
            errors.add("/leadId", "required", "Say to whom: leadId or to.");
        }
        match (self.template_id, &self.body) {
            (None, None) => errors.add("/body", "required", "Say what: templateId or body."),
            (Some(_), Some(_)) => errors.add("/body", "ambiguous", "Give templateId or body, not both."),
            _ => {}
        }
        if self.to.is_some() && self.channel == Channel::InApp {
            errors.add("/to", "no_address", "Messages inside the product go to a lead.");
        }
    }
}

/// What became of a message that was asked for.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sending {
    /// The message.
    message_id: Uuid,
    /// Its thread.
    conversation_id: Uuid,
    /// `queued`, `scheduled`, `deferred` or `blocked`.
    status: Status,
    /// When it will be sent, if not at once.
    send_at: Option<chrono::DateTime<chrono::Utc>>,
    /// What each rule found.
    verdicts: Vec<Verdict>,
    /// Variables that had no value.
    missing: Vec<String>,
}

impl Sending {
    pub(crate) fn of(planned: Planned, missing: Vec<String>) -> Self {
        Self {
            message_id: planned.message_id,
            conversation_id: planned.conversation_id,
            status: planned.status,
            send_at: planned.send_at,
            verdicts: planned.verdicts,
            missing,
        }
    }
}

/// What would become of a message.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Preflight {
    /// `queued`, `scheduled`, `deferred` or `blocked`.
    status: Status,
    /// When it would be sent, if not at once.
    send_at: Option<chrono::DateTime<chrono::Utc>>,
    /// What each rule found.
    verdicts: Vec<Verdict>,
    /// E-mail: the subject.
    subject: Option<Private<String>>,
    /// The text.
    body: Private<String>,
    /// Variables without a value.
    missing: Vec<String>,
}

/// Sends a message, or says why not: it is judged, kept in its conversation and sent by a worker.
#[utoipa::path(post, path = "/api/messages/send", operation_id = "send_message", tag = "messages",
    extensions(("x-role" = json!("staff"))), request_body = NewMessage,
    responses((status = 202, body = Sending)))]
pub(crate) async fn send_message(
    mut cx: Cx<WriteMessages>,
    State(app): State<App>,
    Valid(new): Valid<NewMessage>,
) -> ApiResult {
    let (now, user) = (cx.now(), cx.actor.user_id());
    let (mut message, composed) = write(&mut cx, &app, new).await?;
    message.sent_by = user;
    let planned = messages::plan(&mut cx.tx, &hasher(&app)?, now, vec![message])
        .await
        .on_constraint("messages_connection_id_fkey", unknown_connection)?;
    let planned = planned.into_iter().next().ok_or_else(Problem::internal)?;
    cx.commit(Accepted(Sending::of(planned, composed.missing))).await
}

/// Says what would become of a message, and writes nothing.
#[utoipa::path(post, path = "/api/messages/preflight", operation_id = "preflight_message", tag = "messages",
    extensions(("x-role" = json!("staff"))), request_body = NewMessage,
    responses((status = 200, body = Preflight)))]
pub(crate) async fn preflight_message(
    mut cx: Cx<WriteMessages>,
    State(app): State<App>,
    Valid(new): Valid<NewMessage>,
) -> ApiResult {
    if new.lead_id.is_none() {
        return Err(Problem::invalid(
            "/leadId",
            "required",
            "Only a known person can be looked at beforehand.",
        ));
    }
    let now = cx.now();
    let (message, composed) = write(&mut cx, &app, new).await?;
    let rulings = messages::preflight(&mut cx.tx, &hasher(&app)?, now, &[message]).await?;
    let ruling = rulings.into_iter().next().ok_or_else(Problem::internal)?;
    let answer = Preflight {
        status: ruling.status,
        send_at: ruling.send_at,
        verdicts: ruling.verdicts,
        subject: composed.subject.map(Private::new),
        body: Private::new(composed.body),
        missing: composed.missing,
    };
    cx.commit(Json(answer)).await
}

fn unknown_connection() -> Problem {
    Problem::invalid("/connectionId", "unknown_connection", "There is no such connection.")
}

/// Finds the person and the text.
#[expect(
    clippy::indexing_slicing,
    reason = "a member of a JSON object: missing reads as null, writing makes it"
)]
async fn write(
    cx: &mut Cx<WriteMessages>,
    app: &App,
    new: NewMessage,
) -> ApiResult<(PlannedMessage, Composed)> {
    let lead = recipient(cx, &new).await?;
    let template = match new.template_id {
        Some(id) => Some(templates::find(&mut cx.tx, id).await?.ok_or_else(|| {
            Problem::invalid("/templateId", "unknown_template", "There is no such template.")
        })?),
        None => None,
    };
    if template.as_ref().is_some_and(|template| template.channel != new.channel.word()) {
        return Err(Problem::invalid("/templateId", "wrong_channel", "The template is for another channel."));
    }
    if let Some(id) = new.connection_id {
        let connection = messages::find_connection(&mut cx.tx, id).await?.ok_or_else(unknown_connection)?;
        if connection.channel != new.channel.word() {
            return Err(Problem::invalid(
                "/connectionId",
                "wrong_channel",
                "The connection is for another channel.",
            ));
        }
    }
    let mut context =
        templates::roots(&mut cx.tx, Some(lead), cx.actor.user_id(), new.variables.into()).await?;
    // What a template of a manager's says to the person is the manager's decision; a text of one's own says what one may read.
    if new.body.is_some() || new.subject.is_some() || new.to.is_some() {
        Hidden::from(&mut cx.tx, &cx.actor).await?.veil(&mut context);
    }
    if let Some(url) = unsubscribe::url(app, cx.tx.tenant_id(), lead, new.channel) {
        context["unsubscribeUrl"] = url.into();
    }
    let subject = new.subject.map(Line::into_string).or_else(|| template.as_ref()?.subject.clone());
    let body = new.body.map(Prose::into_string).or_else(|| Some(template.as_ref()?.body.clone()));
    let composed = templates::compose(new.channel, subject.as_deref(), &body.unwrap_or_default(), &context)
        .map_err(|(pointer, error)| {
        error.problem(if template.is_some() { "/templateId" } else { pointer })
    })?;
    if new.strict && !composed.missing.is_empty() {
        let problem = Problem::invalid("/variables", "missing_variables", "Variables have no value.");
        return Err(problem.with("missing", composed.missing));
    }
    let purpose = new.purpose.or_else(|| Purpose::parse(&template.as_ref()?.purpose)).unwrap_or_default();
    let key = format!("api:{}", new_id());
    let message = PlannedMessage {
        to: address(cx, new.channel, new.to)?,
        subject: composed.subject.clone().map(Private::new),
        html: composed.html.clone().map(Private::new),
        send_at: new.send_at,
        template: template.map(|template| (template.id, template.version)),
        connection: new.connection_id,
        ..PlannedMessage::new(lead, new.channel, purpose, composed.body.clone(), key)
    };
    Ok((message, composed))
}

/// The address in its one spelling.
fn address<P: Permission>(
    cx: &Cx<P>,
    channel: Channel,
    to: Option<Private<String>>,
) -> ApiResult<Option<Private<String>>> {
    let Some(to) = to else { return Ok(None) };
    Ok(match identities(cx, channel, to)? {
        Identities { email: Some(email), .. } => Some(Private::new(email.into_string())),
        Identities { phone: Some(phone), .. } => Some(Private::new(phone.into_string())),
        _ => None,
    })
}

fn identities<P: Permission>(cx: &Cx<P>, channel: Channel, to: Private<String>) -> ApiResult<Identities> {
    match channel {
        Channel::Email | Channel::InApp => {
            let email = Email::try_from(to.into_inner()).map_err(|_| {
                Problem::invalid("/to", "invalid_email", "An address like name@example.com is expected.")
            })?;
            Identities::normalise(Some(&email), None, &cx.tx.settings().country)
        }
        Channel::Sms | Channel::Whatsapp => Identities::normalise(None, Some(&to), &cx.tx.settings().country)
            .map_err(|_| {
                Problem::invalid("/to", "invalid_phone", "A number like +4915112345678 is expected.")
            }),
    }
}

/// The person: the given one, the one who has the address, or a new lead.
async fn recipient(cx: &mut Cx<WriteMessages>, new: &NewMessage) -> ApiResult<Uuid> {
    if let Some(lead) = new.lead_id {
        let visible = leads::exists(&mut cx.tx, lead, cx.actor.own_records_of()).await?;
        return if visible {
            Ok(lead)
        } else {
            Err(Problem::invalid("/leadId", "unknown_lead", "There is no such lead."))
        };
    }
    let to = new.to.clone().ok_or_else(Problem::internal)?;
    let identities = identities(cx, new.channel, to)?;
    let fields = NewLead {
        source: Word::try_from("message".to_owned()).ok(),
        // Who sees only own records would never see again whom they have just written to.
        owner_id: cx.actor.usual_owner(),
        ..NewLead::default()
    };
    let (now, actor) = (cx.now(), (cx.actor.kind(), Some(cx.actor.id())));
    let (lead, upserted) = leads::upsert(&mut cx.tx, now, fields, &identities, actor, Known::Fill).await?;
    if cx.actor.own_records_of().is_some_and(|owners| !was_owned_by(owners, &lead, &upserted)) {
        return Err(Problem::invalid("/to", "unknown_lead", "The address belongs to a lead of others."));
    }
    if upserted == Upserted::Created {
        let payload = serde_json::to_value(&lead).map_err(|_| Problem::internal())?;
        let told = shared::events::NewEvent::by_api(
            shared::events::EventKind::LeadCreated,
            now,
            lead.id,
            Some(lead.id),
            payload,
        );
        shared::events::emit(&mut cx.tx, &[told]).await?;
    }
    Ok(lead.id)
}

/// Whether the lead was one of these owners' before it was found, or is new. Filling its empty fields may have given it an owner.
fn was_owned_by(owners: &[Uuid], lead: &Lead, upserted: &Upserted) -> bool {
    let before = match upserted {
        Upserted::Created => return true,
        Upserted::Updated { previous } => previous.get("ownerId"),
    };
    match before {
        Some(before) => owners.iter().any(|owner| *before == json!(owner)),
        None => lead.owner_id.is_some_and(|owner| owners.contains(&owner)),
    }
}
