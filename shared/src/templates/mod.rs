//! Templates: texts with variables, rendered by minijinja within bounds.
//!
//! Rendering is a pure function of source and context, so that a preview, a reply and an automation say the same. Authors
//! are trusted with the text and with nothing else: there are no includes, no macros, a budget of instructions and a
//! limit of size; what a person typed into a form is escaped in HTML and can never begin a new header line.

mod html;
mod render;
mod roots;
mod store;

pub use render::{Composed, Rendered, TemplateError, check, compose, render, render_html, render_subject};
pub use roots::roots;
pub use store::{
    NewTemplate, Template, TemplateFilter, TemplatePatch, archive, find, insert, list, text_of_version,
    update,
};
