//! Texts of a person that stand in stanzas: written as texts, whatever is in them.
//!
//! The client's encoder (wacore-binary 0.7) writes any string of up to 48 bytes that has an `@` as an address: a pair of what is
//! before it and what is behind. A reader that knows no server of the second name ends the link, and from `team_1@g.us` the
//! `_1` is taken for a part of an address and dropped. Phones and WhatsApp Web write such texts byte by byte.

use whatsapp_rust::wacore::{iq::spec::IqSpec, request::InfoQuery};
use whatsapp_rust::wacore_binary::{
    Node, NodeContent, NodeRef, NodeValue,
    builder::NodeBuilder,
    encoder::{ByteWriter, EncodeNode, Encoder},
};
use whatsapp_rust::{Client, anyhow, store::commands::DeviceCommand, wacore_binary};

/// The one attribute that holds such a text.
const SUBJECT: &str = "subject";

/// `question`, with the texts in it written as texts.
pub(super) struct AsTexts<S>(pub(super) S);

impl<S: IqSpec> IqSpec for AsTexts<S> {
    type Response = S::Response;

    fn build_iq(&self) -> InfoQuery<'static> {
        self.0.build_iq()
    }

    fn encode_iq_direct(&self, request_id: &str, out: &mut Vec<u8>) -> anyhow::Result<bool> {
        let question = self.0.build_iq();
        let stanza = NodeBuilder::new("iq")
            .attr("id", request_id)
            .attr("xmlns", question.namespace)
            .attr("type", question.query_type.as_str())
            .attr("to", question.to)
            .apply_content(question.content)
            .build();
        Encoder::new_vec(out)?.write_node(&Literal(&stanza))?;
        Ok(true)
    }

    fn parse_response(&self, response: &NodeRef<'_>) -> anyhow::Result<Self::Response> {
        self.0.parse_response(response)
    }
}

/// The name by which others see an account that is called `name`. The client itself tells it, with every login, by its own
/// encoder: so an `@` is written as its wide form, which looks alike.
pub(super) fn shown_name(name: &str) -> String {
    name.replace('@', "\u{ff20}")
}

/// Has `client` tell others the name that can be told, before it tells them the one that the phone gave.
pub(super) async fn show_name(client: &Client) {
    let name = client.push_name();
    let shown = shown_name(&name);
    if shown != name {
        let order = DeviceCommand::SetPushName(shown);
        client.persistence_manager().process_command(order).await;
    }
}

/// A stanza whose texts are written byte by byte where the client's encoder would take them for addresses.
struct Literal<'n>(&'n Node);

impl EncodeNode for Literal<'_> {
    fn tag(&self) -> &str {
        &self.0.tag
    }

    fn attrs_len(&self) -> usize {
        self.0.attrs_len()
    }

    fn has_content(&self) -> bool {
        self.0.has_content()
    }

    fn encode_attrs<'a, W: ByteWriter>(&self, encoder: &mut Encoder<'a, W>) -> wacore_binary::Result<()> {
        for (name, value) in &self.0.attrs {
            encoder.write_string(name)?;
            match value {
                NodeValue::String(text) if name == SUBJECT => write_text(encoder, text)?,
                NodeValue::String(text) => encoder.write_string(text)?,
                NodeValue::Jid(jid) => encoder.write_jid_owned(jid)?,
            }
        }
        Ok(())
    }

    fn encode_content<'a, W: ByteWriter>(&self, encoder: &mut Encoder<'a, W>) -> wacore_binary::Result<()> {
        match &self.0.content {
            Some(NodeContent::Nodes(nodes)) => {
                encoder.write_list_start(nodes.len())?;
                nodes.iter().try_for_each(|node| encoder.write_node(&Literal(node)))
            }
            Some(NodeContent::String(text)) => write_text(encoder, text),
            Some(NodeContent::Bytes(bytes)) => encoder.write_bytes_with_len(bytes),
            None => Ok(()),
        }
    }
}

fn write_text<W: ByteWriter>(encoder: &mut Encoder<'_, W>, text: &str) -> wacore_binary::Result<()> {
    match text.contains('@') {
        true => encoder.write_bytes_with_len(text.as_bytes()),
        false => encoder.write_string(text),
    }
}

#[cfg(test)]
mod tests {
    use whatsapp_rust::features::{GroupCreateOptions, GroupParticipantOptions, GroupSubject};
    use whatsapp_rust::wacore::iq::{
        groups::{GroupCreateIq, SetGroupDescriptionIq, SetGroupSubjectIq},
        profile::SetStatusTextSpec,
    };
    use whatsapp_rust::wacore_binary::{Jid, marshal::unmarshal_ref};

    use super::*;

    /// Texts that the client's encoder takes for addresses, and some that it does not.
    const TEXTS: [&str; 7] = [
        "team_1@g.us",
        "Ana @ Shop",
        "@",
        "me:3@s.whatsapp.net",
        "Ana",
        "available",
        "12-34",
    ];

    fn written(question: &impl IqSpec) -> Node {
        let mut plain = Vec::new();
        assert!(question.encode_iq_direct("7.1", &mut plain).unwrap());
        // The first byte says that nothing is compressed.
        unmarshal_ref(&plain[1..]).unwrap().to_owned()
    }

    fn text_of(node: &Node) -> String {
        match node.content.as_ref().unwrap() {
            NodeContent::Bytes(bytes) => String::from_utf8(bytes.clone()).unwrap(),
            NodeContent::String(text) => text.to_string(),
            NodeContent::Nodes(_) => panic!("no text: {node:?}"),
        }
    }

    #[test]
    fn texts_are_read_as_they_were_written() {
        let group: Jid = "120363000000000001@g.us".parse().unwrap();
        for text in TEXTS {
            let about = written(&AsTexts(SetStatusTextSpec::new(text)));
            assert_eq!(text_of(about.get_optional_child("status").unwrap()), text);
            let subject = GroupSubject::new(text).unwrap();
            let subject = written(&AsTexts(SetGroupSubjectIq::new(&group, subject)));
            assert_eq!(text_of(subject.get_optional_child("subject").unwrap()), text);
            let wanted = Some(whatsapp_rust::features::GroupDescription::new(text).unwrap());
            let described = written(&AsTexts(SetGroupDescriptionIq::new(&group, wanted, Some("3EB0"))));
            let body = described
                .get_optional_child("description")
                .unwrap()
                .get_optional_child("body")
                .unwrap();
            assert_eq!(text_of(body), text);
        }
    }

    #[test]
    fn a_new_group_has_its_subject_as_it_was_written_and_its_members_as_addresses() {
        for text in TEXTS {
            let member: Jid = "5511999999999@s.whatsapp.net".parse().unwrap();
            let options = GroupCreateOptions::new(text).with_participant(GroupParticipantOptions::new(member.clone()));
            let stanza = written(&AsTexts(GroupCreateIq::new(options)));
            let create = stanza.get_optional_child("create").unwrap();
            assert_eq!(create.attrs.get("subject").unwrap().as_str(), text);
            let participant = create.get_optional_child("participant").unwrap();
            assert_eq!(participant.attrs.get("jid"), Some(&NodeValue::Jid(member)));
        }
    }

    #[test]
    fn what_has_no_such_text_is_written_as_the_client_writes_it() {
        let question = SetStatusTextSpec::new("Ana");
        let mut plain = Vec::new();
        assert!(
            AsTexts(SetStatusTextSpec::new("Ana"))
                .encode_iq_direct("7.1", &mut plain)
                .unwrap()
        );
        let question = question.build_iq();
        let stanza = NodeBuilder::new("iq")
            .attr("id", "7.1")
            .attr("xmlns", question.namespace);
        let stanza = stanza
            .attr("type", "set")
            .attr("to", question.to)
            .apply_content(question.content);
        assert_eq!(plain, wacore_binary::marshal(&stanza.build()).unwrap());
    }

    #[test]
    fn nobody_is_called_by_what_the_client_takes_for_an_address() {
        assert_eq!(shown_name("Ana @ Shop"), "Ana ＠ Shop");
        assert_eq!(shown_name("Ana"), "Ana");
    }
}
