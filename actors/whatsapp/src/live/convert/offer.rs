//! What businesses write: words, perhaps a file, and buttons that lead somewhere.

use std::borrow::Cow;

use serde_json::{Map, Value};
use wharf_domain::message::{Body, Media, NativeFlow};
use whatsapp_rust::waproto::whatsapp::{
    ContextInfo, HydratedTemplateButton, Message,
    hydrated_template_button::HydratedButton,
    message::{
        ButtonsMessage, InteractiveMessage, ListMessage, TemplateMessage,
        buttons_message::{Button, Header},
        interactive_message::{InteractiveMessage as Part, header, native_flow_message::NativeFlowButton},
        list_message::{Row, Section},
        template_message::{Format, HydratedFourRowTemplate, four_row_template, hydrated_four_row_template},
    },
};

use super::{
    media,
    part::{Content, filled},
};

/// How many buttons' flows are told: apps show three, and ten cards with two each.
const FLOWS_MAX: usize = 32;
/// Bytes of a flow's name, and of its parameters: longer ones are not told. Those of a payment have some 2,000.
const FLOW_NAME_MAX: usize = 128;
const FLOW_PARAMS_MAX: usize = 8192;
/// How many cards that stand side by side are read; apps allow ten.
const CARDS_MAX: usize = 10;

/// The flow that a button is which is answered with.
const QUICK_REPLY: &str = "quick_reply";

const WITH_BUTTONS: &str = "A message with buttons";

/// What a business wrote, however it is put together.
#[derive(Default)]
struct Offer<'a> {
    /// The text, then what else there is to read, in the order of worth.
    words: [Option<&'a str>; 3],
    /// The words of cards that stand side by side, where there is no text.
    cards: Vec<&'a str>,
    file: Option<Media>,
    flows: Vec<NativeFlow>,
    context: Option<&'a ContextInfo>,
}

/// The picture, film or file that stands above the words: what the headers of all kinds of messages call by the same names.
macro_rules! file_of {
    ($header:expr, $($kind:ident)::+) => {
        match $header {
            Some($($kind)::+::DocumentMessage(document)) => media::of_document(document).media,
            Some($($kind)::+::ImageMessage(image)) => media::of_image(image).media,
            Some($($kind)::+::VideoMessage(video)) => media::of_video(video, false).media,
            _ => None,
        }
    };
}

/// What a business wrote, if it is that.
pub(super) fn read(message: &Message) -> Option<Content<'_>> {
    if let Some(template) = message.template_message.as_option() {
        Some(of_template(template).told("templateMessage", WITH_BUTTONS))
    } else if let Some(buttons) = message.buttons_message.as_option() {
        Some(of_buttons(buttons).told("buttonsMessage", WITH_BUTTONS))
    } else if let Some(list) = message.list_message.as_option() {
        Some(of_list(list).told("listMessage", "A message with a list"))
    } else if let Some(interactive) = message.interactive_message.as_option() {
        Some(of_interactive(interactive).told("interactiveMessage", WITH_BUTTONS))
    } else {
        let structured = message.highly_structured_message.as_option()?;
        let hydrated = structured.hydrated_hsm.as_option();
        let offer = hydrated.map(of_template).unwrap_or_default();
        Some(offer.told("highlyStructuredMessage", "A message from a template of a business"))
    }
}

impl<'a> Offer<'a> {
    /// Its content. `words` are for one that says nothing.
    fn told(self, name: &'static str, words: &'static str) -> Content<'a> {
        let said = self.words.into_iter().find_map(filled);
        let said: Cow<'a, str> = match (said, self.cards.is_empty()) {
            (Some(said), _) => said.into(),
            (None, false) => self.cards.join("\n").into(),
            (None, true) => words.into(),
        };
        Content {
            media: self.file,
            body: Some(self.flows).filter(|flows| !flows.is_empty()).map(Body::NativeFlow),
            context: self.context,
            ..Content::unsupported(Some(name), said)
        }
    }
}

fn of_template(template: &TemplateMessage) -> Offer<'_> {
    let offer = match (template.hydrated_template.as_option(), &template.format) {
        (Some(rows), _) => of_rows(rows),
        (None, Some(Format::HydratedFourRowTemplate(rows))) => of_rows(rows),
        (None, Some(Format::InteractiveMessageTemplate(interactive))) => of_interactive(interactive),
        // Its words are the business's to fill in: here are only the places for them.
        (None, Some(Format::FourRowTemplate(rows))) => Offer {
            file: file_of!(&rows.title, four_row_template::Title),
            ..Offer::default()
        },
        (None, None) => Offer::default(),
    };
    Offer {
        context: template.context_info.as_option().or(offer.context),
        ..offer
    }
}

fn of_rows(rows: &HydratedFourRowTemplate) -> Offer<'_> {
    use hydrated_four_row_template::Title;
    let title = match &rows.title {
        Some(Title::HydratedTitleText(title)) => Some(title.as_str()),
        _ => None,
    };
    Offer {
        words: [
            rows.hydrated_content_text.as_deref(),
            title,
            rows.hydrated_footer_text.as_deref(),
        ],
        file: file_of!(&rows.title, hydrated_four_row_template::Title),
        flows: rows
            .hydrated_buttons
            .iter()
            .filter_map(of_hydrated)
            .take(FLOWS_MAX)
            .collect(),
        ..Offer::default()
    }
}

fn of_hydrated(button: &HydratedTemplateButton) -> Option<NativeFlow> {
    let (name, text, (key, value)) = match button.hydrated_button.as_ref()? {
        HydratedButton::QuickReplyButton(reply) => (QUICK_REPLY, &reply.display_text, ("id", &reply.id)),
        HydratedButton::UrlButton(link) => ("cta_url", &link.display_text, ("url", &link.url)),
        HydratedButton::CallButton(call) => ("cta_call", &call.display_text, ("phone_number", &call.phone_number)),
    };
    older(name, params([("display_text", text), (key, value)]))
}

fn of_buttons(buttons: &ButtonsMessage) -> Offer<'_> {
    let title = match &buttons.header {
        Some(Header::Text(title)) => Some(title.as_str()),
        _ => None,
    };
    let flow = |button: &Button| match button.native_flow_info.as_option() {
        Some(flow) => flow_of(flow.name.as_deref(), flow.params_json.as_deref()),
        None => {
            let text = button.button_text.as_option().map_or(&None, |text| &text.display_text);
            older(QUICK_REPLY, params([("display_text", text), ("id", &button.button_id)]))
        }
    };
    Offer {
        words: [buttons.content_text.as_deref(), title, buttons.footer_text.as_deref()],
        file: file_of!(&buttons.header, Header),
        flows: buttons.buttons.iter().filter_map(flow).take(FLOWS_MAX).collect(),
        context: buttons.context_info.as_option(),
        ..Offer::default()
    }
}

fn of_list(list: &ListMessage) -> Offer<'_> {
    let row = |row: &Row| {
        let shown = [
            ("title", &row.title),
            ("description", &row.description),
            ("id", &row.row_id),
        ];
        Value::Object(params(shown))
    };
    let section = |section: &Section| {
        let mut told = params([("title", &section.title)]);
        told.insert("rows".to_owned(), section.rows.iter().map(row).collect());
        Value::Object(told)
    };
    let choice = || {
        let mut told = params([("title", &list.button_text)]);
        told.insert("sections".to_owned(), list.sections.iter().map(section).collect());
        older("single_select", told)
    };
    let choice = (!list.sections.is_empty()).then(choice).flatten();
    Offer {
        words: [
            list.description.as_deref(),
            list.title.as_deref(),
            list.footer_text.as_deref(),
        ],
        flows: choice.into_iter().collect(),
        context: list.context_info.as_option(),
        ..Offer::default()
    }
}

fn of_interactive(interactive: &InteractiveMessage) -> Offer<'_> {
    let header = interactive.header.as_option();
    let footer = interactive.footer.as_option();
    let cards = match &interactive.interactive_message {
        Some(Part::CarouselMessage(carousel)) => carousel.cards.as_slice(),
        _ => &[],
    };
    let cards = || cards.iter().take(CARDS_MAX);
    let flows = flows_of(interactive).chain(cards().flat_map(flows_of));
    Offer {
        words: [
            text_of(interactive),
            title_of(interactive),
            footer.and_then(|footer| footer.text.as_deref()),
        ],
        cards: cards()
            .filter_map(|card| text_of(card).or_else(|| title_of(card)))
            .collect(),
        file: header.and_then(|header| file_of!(&header.media, header::Media)),
        flows: flows.take(FLOWS_MAX).collect(),
        context: interactive.context_info.as_option(),
    }
}

fn text_of(interactive: &InteractiveMessage) -> Option<&str> {
    filled(interactive.body.as_option()?.text.as_deref())
}

fn title_of(interactive: &InteractiveMessage) -> Option<&str> {
    filled(interactive.header.as_option()?.title.as_deref())
}

fn flows_of(interactive: &InteractiveMessage) -> impl Iterator<Item = NativeFlow> {
    let buttons: &[NativeFlowButton] = match &interactive.interactive_message {
        Some(Part::NativeFlowMessage(flow)) => &flow.buttons,
        _ => &[],
    };
    let flow = |button: &NativeFlowButton| flow_of(button.name.as_deref(), button.button_params_json.as_deref());
    buttons.iter().filter_map(flow)
}

/// `None` for one without a name: nobody could tell what it is.
fn flow_of(name: Option<&str>, params: Option<&str>) -> Option<NativeFlow> {
    let name = filled(name).filter(|name| name.len() <= FLOW_NAME_MAX)?;
    let params = filled(params).filter(|params| params.len() <= FLOW_PARAMS_MAX);
    Some(NativeFlow {
        name: name.to_owned(),
        params: params.map(str::to_owned),
    })
}

/// What fields of an older message say, under the names that the parameters of newer ones have for it.
fn params<const N: usize>(fields: [(&str, &Option<String>); N]) -> Map<String, Value> {
    let said = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name, filled(value.as_deref())?)));
    said.map(|(name, value)| (name.to_owned(), value.into())).collect()
}

/// A button of an older message as a flow; `None` for one that says nothing.
fn older(name: &str, params: Map<String, Value>) -> Option<NativeFlow> {
    let says_something = !params.is_empty();
    says_something.then(|| flow_of(Some(name), Some(&Value::Object(params).to_string())))?
}
