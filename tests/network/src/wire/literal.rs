//! Stanzas as bytes, with the texts of people in them as they are.

use wacore_binary::encoder::{ByteWriter, EncodeNode, Encoder};
use wacore_binary::{Node, NodeContent, NodeValue, Result, Server};

/// Attributes that hold what a person wrote.
const TEXTS: [&str; 4] = ["notify", "subject", "pushname", "name"];

/// `stanza` as it goes over the wire.
///
/// The encoder writes any short text with an `@` as an address; WhatsApp writes as one what is one.
///
/// # Errors
/// What the encoder says.
pub(crate) fn marshal(stanza: &Node) -> Result<Vec<u8>> {
    let mut plain = Vec::with_capacity(1024);
    Encoder::new_vec(&mut plain)?.write_node(&Literal(stanza))?;
    Ok(plain)
}

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

    fn encode_attrs<'a, W: ByteWriter>(&self, encoder: &mut Encoder<'a, W>) -> Result<()> {
        for (name, value) in &self.0.attrs {
            encoder.write_string(name)?;
            match value {
                NodeValue::Jid(jid) => encoder.write_jid_owned(jid)?,
                NodeValue::String(text) if is_address(text) && !TEXTS.contains(&&**name) => {
                    encoder.write_string(text)?
                }
                NodeValue::String(text) => write_text(encoder, text)?,
            }
        }
        Ok(())
    }

    fn encode_content<'a, W: ByteWriter>(&self, encoder: &mut Encoder<'a, W>) -> Result<()> {
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

fn is_address(text: &str) -> bool {
    text.split_once('@')
        .is_some_and(|(_, server)| Server::try_from(server).is_ok())
}

fn write_text<W: ByteWriter>(encoder: &mut Encoder<'_, W>, text: &str) -> Result<()> {
    match text.contains('@') {
        true => encoder.write_bytes_with_len(text.as_bytes()),
        false => encoder.write_string(text),
    }
}

#[cfg(test)]
mod tests {
    use wacore_binary::{Jid, builder::NodeBuilder, marshal::unmarshal_ref};

    use super::*;

    #[test]
    fn names_are_read_as_they_are_and_addresses_as_addresses() {
        for text in ["Ana @ Shop", "team_1@g.us", "@", "Ana"] {
            let stanza = NodeBuilder::new("message")
                .attr("notify", text)
                .attr("from", "5511999999999@s.whatsapp.net");
            let plain = marshal(&stanza.attr("id", "A@B").build()).unwrap();
            let read = unmarshal_ref(&plain[1..]).unwrap().to_owned();
            assert_eq!(read.attrs.get("notify").unwrap().as_str(), text);
            assert_eq!(read.attrs.get("id").unwrap().as_str(), "A@B");
            let from: Jid = "5511999999999@s.whatsapp.net".parse().unwrap();
            assert_eq!(read.attrs.get("from"), Some(&NodeValue::Jid(from)));
        }
    }
}
