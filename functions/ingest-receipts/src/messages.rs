//! Messages: what people write to us, and what becomes of what we wrote to them.

use serde_json::to_value;
use shared::{
    crypto::AddressHasher,
    db::{DbError, DbResult},
    messages::{self, Channel, Inbound, Status, StatusUpdate, suppress::Reason},
    private::Private,
    webhooks::{
        Provider,
        normalise::{self, Canonical, DeliveryStatus, Identity, MessageReceived, MessageStatus, OptOut},
    },
};

use crate::{
    apply::{Failed, Ingest},
    people::Who,
};

impl Ingest<'_> {
    /// A person wrote.
    pub(crate) async fn take_message(
        &mut self,
        canonical: &Canonical,
        message: &MessageReceived,
    ) -> Result<(), Failed> {
        let channel = channel(message.channel);
        let from = Some(message.from.clone());
        let identity = match channel {
            Channel::Email => Identity { email: from, phone: None },
            _ => Identity { email: None, phone: from },
        };
        let who = Who {
            identity: Some(&identity),
            name: message.name.as_deref(),
            source: channel.word(),
            ..Who::default()
        };
        let Some(lead) = self.meet(canonical, who).await? else {
            return Err(Failed::element(
                "unusable_sender",
                "the sender has no address that could be answered",
            ));
        };
        let inbound = Inbound {
            lead_id: lead.id,
            channel,
            from: Private::new(message.from.clone()),
            to: Some(message.to.clone()),
            subject: message.subject.clone().map(Private::new),
            body: Private::new(message.body.clone()),
            attachments: to_value(&message.media).unwrap_or_default(),
            provider: self.sender(),
            provider_ref: message.provider_ref.clone(),
            in_reply_to: message.in_reply_to.clone(),
            received_at: canonical.occurred_at,
        };
        // First things first: a new person is told of before what they wrote.
        self.tell().await?;
        let hasher = self.hasher()?;
        messages::receive(self.tx, &hasher, self.now, inbound).await?;
        Ok(())
    }

    /// A message of ours went a step further.
    pub(crate) async fn take_report(
        &mut self,
        canonical: &Canonical,
        report: &MessageStatus,
    ) -> Result<(), Failed> {
        let update = StatusUpdate {
            provider: self.sender(),
            provider_ref: report.provider_ref.clone(),
            effect_id: report.effect_id.as_deref().and_then(|id| id.parse().ok()),
            status: status(report.status),
            at: canonical.occurred_at,
            code: report.error_code.clone(),
            reason: report.reason.clone(),
            permanent: report.permanent,
        };
        let hasher = self.hasher()?;
        match messages::apply_status(self.tx, &hasher, self.now, update).await? {
            Some(_) => Ok(()),
            None => Err(Failed::TooEarly),
        }
    }

    /// A person wants no more messages.
    pub(crate) async fn take_opt_out(&mut self, opt_out: &OptOut) -> Result<(), Failed> {
        let channel = channel(opt_out.channel);
        let reason = match (opt_out.reason.as_str(), channel) {
            ("complained", _) => Reason::Complaint,
            (_, Channel::Email | Channel::InApp) => Reason::Unsubscribe,
            (_, Channel::Sms | Channel::Whatsapp) => Reason::Stop,
        };
        let hasher = self.hasher()?;
        messages::opt_out(self.tx, &hasher, self.now, (channel, &opt_out.address), reason).await?;
        Ok(())
    }

    fn hasher(&self) -> DbResult<AddressHasher> {
        AddressHasher::new(self.app.secret_box()).map_err(|error| DbError::Defect(error.to_string()))
    }

    /// The word under which messages of this provider are kept. Resend reports by Standard Webhooks.
    fn sender(&self) -> &'static str {
        match self.receipt.provider {
            Provider::Standard => "resend",
            provider => provider.as_str(),
        }
    }
}

const fn channel(channel: normalise::Channel) -> Channel {
    match channel {
        normalise::Channel::Sms => Channel::Sms,
        normalise::Channel::Whatsapp => Channel::Whatsapp,
        normalise::Channel::Email => Channel::Email,
    }
}

const fn status(status: DeliveryStatus) -> Status {
    match status {
        DeliveryStatus::Queued => Status::Queued,
        DeliveryStatus::Sending => Status::Sending,
        DeliveryStatus::Sent => Status::Sent,
        DeliveryStatus::Delivered => Status::Delivered,
        DeliveryStatus::Undelivered => Status::Undelivered,
        DeliveryStatus::Failed => Status::Failed,
        DeliveryStatus::Canceled => Status::Canceled,
        DeliveryStatus::Read => Status::Read,
    }
}
