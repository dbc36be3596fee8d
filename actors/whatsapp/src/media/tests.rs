//! Against wacore's own encryption, which is what WhatsApp's clients do.

use proptest::prelude::*;
use whatsapp_rust::wacore::upload::encrypt_media;

use super::*;

const KINDS: [(MediaKind, MediaType); 5] = [
    (MediaKind::Image, MediaType::Image),
    (MediaKind::Video, MediaType::Video),
    (MediaKind::Audio, MediaType::Audio),
    (MediaKind::Document, MediaType::Document),
    (MediaKind::Sticker, MediaType::Sticker),
];

fn encrypted(plain: &[u8], kind: usize) -> (Vec<u8>, MediaReference) {
    let (kind, theirs) = KINDS[kind];
    let made = encrypt_media(plain, theirs).unwrap();
    let reference = MediaReference {
        kind,
        direct_path: "/v/t".into(),
        media_key: made.media_key.to_vec(),
        enc_sha256: made.file_enc_sha256.to_vec(),
        sha256: made.file_sha256.to_vec(),
        size: plain.len() as u64,
        by_proxy: false,
        asked: wharf_domain::message::Asked::No,
    };
    (made.data_to_upload, reference)
}

/// In pieces of these sizes, over and over.
fn decrypt(file: &[u8], reference: &MediaReference, pieces: &[usize]) -> Result<Vec<u8>, MediaFault> {
    let mut decryptor = MediaDecryptor::new(reference)?;
    let (mut out, mut rest, mut sizes) = (Vec::new(), file, pieces.iter().cycle());
    while !rest.is_empty() {
        let size = (*sizes.next().unwrap()).clamp(1, rest.len());
        let (piece, after) = rest.split_at(size);
        decryptor.update(piece, &mut out);
        assert!(decryptor.held.len() < TAIL + BLOCK, "little is held back");
        rest = after;
    }
    let written = decryptor.finish(&mut out)?;
    assert_eq!(written, out.len() as u64);
    Ok(out)
}

fn plain(length: usize) -> Vec<u8> {
    (0..length)
        .map(|place| u8::try_from(place * 31 % 251).unwrap())
        .collect()
}

#[test]
fn every_kind_and_every_border_decrypts() {
    for kind in 0..KINDS.len() {
        for length in [0, 1, 15, 16, 17, 31, 32, 33, 4095, 4096, 65_536, 65_537] {
            let plain = plain(length);
            let (file, reference) = encrypted(&plain, kind);
            assert_eq!(file.len() as u64, encrypted_size(length as u64));
            for pieces in [&[1_usize, 15, 26][..], &[16], &[4096], &[usize::MAX]] {
                assert!(
                    decrypt(&file, &reference, pieces).unwrap() == plain,
                    "{length} bytes in pieces of {pieces:?}"
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_file_in_any_pieces_decrypts(
        plain in prop::collection::vec(any::<u8>(), 0..3000),
        pieces in prop::collection::vec(1_usize..200, 1..6),
        kind in 0..KINDS.len(),
    ) {
        let (file, reference) = encrypted(&plain, kind);
        prop_assert_eq!(decrypt(&file, &reference, &pieces).unwrap(), plain);
    }

    /// Whatever is done to a file on the way, nothing but the file itself passes.
    #[test]
    fn no_damaged_file_passes(
        plain in prop::collection::vec(any::<u8>(), 0..600),
        at in any::<prop::sample::Index>(),
        bit in 0_u8..8,
        cut in any::<prop::sample::Index>(),
        more in prop::collection::vec(any::<u8>(), 1..40),
    ) {
        let (file, reference) = encrypted(&plain, 0);
        let mut flipped = file.clone();
        flipped[at.index(file.len())] ^= 1 << bit;
        prop_assert!(decrypt(&flipped, &reference, &[50]).is_err());
        prop_assert!(decrypt(&file[..cut.index(file.len())], &reference, &[50]).is_err());
        prop_assert!(decrypt(&[&file[..], &more].concat(), &reference, &[50]).is_err());
    }
}

#[test]
fn each_fault_is_told() {
    let (file, reference) = encrypted(&plain(100), 0);
    let fault = |change: fn(&mut MediaReference)| {
        let mut reference = reference.clone();
        change(&mut reference);
        decrypt(&file, &reference, &[64]).unwrap_err()
    };
    assert_eq!(fault(|reference| reference.media_key[0] ^= 1), MediaFault::Mac);
    assert_eq!(fault(|reference| reference.kind = MediaKind::Video), MediaFault::Mac);
    assert_eq!(
        fault(|reference| reference.enc_sha256[0] ^= 1),
        MediaFault::EncryptedHash
    );
    assert_eq!(fault(|reference| reference.sha256[31] ^= 1), MediaFault::Hash);
    assert_eq!(
        fault(|reference| reference.media_key.truncate(31)),
        MediaFault::Reference
    );
    assert_eq!(fault(|reference| reference.sha256.clear()), MediaFault::Reference);
    assert_eq!(decrypt(&[], &reference, &[1]), Err(MediaFault::CutOff));
    assert_eq!(
        decrypt(&file[..file.len() - 1], &reference, &[64]),
        Err(MediaFault::CutOff)
    );
}

#[test]
fn what_we_encrypt_decrypts() {
    let plain = plain(100_000);
    for (kind, _) in KINDS {
        let mut file = Vec::new();
        let made = encrypt(kind, &plain[..], &mut file).unwrap();
        let reference = made.reference(kind, String::new());
        assert_eq!(made.size, 100_000);
        assert!(decrypt(&file, &reference, &[7000]).unwrap() == plain);
    }
}
