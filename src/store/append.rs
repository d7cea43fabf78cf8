//! Where an append belongs: a pure decision, so that it can be tried with every combination.

use std::io;
use std::ops::Range;

/// What an append means for a segment of some length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// All of it is there.
    Known,
    /// Without the first `skip` bytes, which are there, it follows the end.
    Next { skip: usize },
    /// It differs from bytes that nobody was told to be safe: they go, from `keep` on, and the append
    /// without its first `skip` bytes comes in their place.
    Instead { keep: u64, skip: usize },
    /// It differs, first at this byte, from what was acknowledged.
    Altered { at: u64 },
    /// Bytes lack before it.
    Gap,
}

/// Compares an append at `offset`, whose sender was told that `acked` bytes are safe, with a segment of
/// `length` bytes, of which `read` gives a range.
pub fn place(
    offset: u64,
    acked: u64,
    body: &[u8],
    length: u64,
    read: impl FnOnce(Range<u64>) -> io::Result<Vec<u8>>,
) -> io::Result<Placed> {
    if offset > length {
        return Ok(Placed::Gap);
    }
    let overlap = usize::try_from(length - offset).map_or(body.len(), |n| n.min(body.len()));
    let there = if overlap == 0 {
        Vec::new()
    } else {
        read(offset..offset + overlap as u64)?
    };
    let difference = there.iter().zip(body).position(|(old, new)| old != new);
    Ok(match difference.map(|index| offset + index as u64) {
        Some(at) if at < acked => Placed::Altered { at },
        Some(at) => {
            // Up to the difference nothing changes, wherever between `acked` and there the cut is made.
            let keep = acked.clamp(offset, at);
            let skip = usize::try_from(keep - offset).unwrap_or(overlap);
            Placed::Instead { keep, skip }
        }
        None if overlap == body.len() => Placed::Known,
        None => Placed::Next { skip: overlap },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(offset: u64, acked: u64, body: &[u8]) -> Placed {
        let there = b"0123456789";
        let read = |range: Range<u64>| Ok(there[range.start as usize..range.end as usize].to_vec());
        place(offset, acked, body, there.len() as u64, read).unwrap()
    }

    #[test]
    fn an_append_is_compared_where_it_overlaps() {
        assert_eq!(placed(10, 10, b"ab"), Placed::Next { skip: 0 });
        assert_eq!(placed(8, 10, b"89ab"), Placed::Next { skip: 2 });
        assert_eq!(placed(3, 10, b"345"), Placed::Known);
        assert_eq!(placed(10, 10, b""), Placed::Known);
        assert_eq!(placed(11, 11, b"b"), Placed::Gap);
        assert_eq!(placed(11, 11, b""), Placed::Gap);
    }

    #[test]
    fn what_differs_is_tampering_below_the_acknowledged_length_and_replaced_above() {
        assert_eq!(placed(2, 5, b"23x"), Placed::Altered { at: 4 });
        assert_eq!(placed(2, 4, b"23x"), Placed::Instead { keep: 4, skip: 2 });
        assert_eq!(placed(2, 3, b"23x"), Placed::Instead { keep: 3, skip: 1 });
        assert_eq!(placed(2, 0, b"23x"), Placed::Instead { keep: 2, skip: 0 });
        assert_eq!(placed(2, 99, b"2345678x"), Placed::Altered { at: 9 });
    }
}
