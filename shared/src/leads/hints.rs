//! What of leads and of what happened with them is shown to whoever sees hints of addresses.

use serde_json::Value;

use super::{Activity, Lead, TimelineItem};
use crate::{
    mask::{self, Masked},
    private::Private,
};

/// People are also named by their addresses, and give them on the pages that they came from.
impl Masked for Lead {
    fn masked(self) -> Self {
        Self {
            email: self.email.map(mask::address),
            phone: self.phone.map(mask::address),
            first_name: self.first_name.masked(),
            last_name: self.last_name.masked(),
            name: self.name.masked(),
            won_reason: self.won_reason.masked(),
            lost_reason: self.lost_reason.masked(),
            first_touch: self.first_touch.map(mask::pages),
            last_touch: self.last_touch.map(mask::pages),
            ..self
        }
    }
}

impl Masked for Activity {
    fn masked(self) -> Self {
        let data = shown_data(&self.kind, self.data);
        Self { title: self.title.masked(), body: self.body.masked(), data, ..self }
    }
}

/// What an activity of a kind adds, with hints of the addresses only. The answers of a form are looked at more closely.
fn shown_data(kind: &str, data: Private<Value>) -> Private<Value> {
    if kind == "form" { data.map(mask::answers) } else { data.masked() }
}

impl Masked for TimelineItem {
    fn masked(self) -> Self {
        match self.item_type.as_str() {
            "activity" => {
                let data = shown_data(&self.kind, self.data);
                Self { title: self.title.masked(), body: self.body.masked(), data, ..self }
            }
            "message" => Self { title: self.title.masked(), body: self.body.masked(), ..self },
            "cta" => Self { data: self.data.map(mask::pages), ..self },
            // The title of a document is its number.
            _ => Self { body: self.body.masked(), ..self },
        }
    }
}
