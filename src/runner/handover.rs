//! What `ship` and `exec` say to each other on their socket, a byte a word. The first is `ship`'s answer,
//! and with the good one comes the spool's descriptor: a descriptor, and not a path, because the agent
//! runs beside `exec` and must find no way to the file. After it the connection stands until one of them
//! is gone, and both only drop words into it: neither waits for the other before the run is over.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::cmsg_space;
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recv, recvmsg, send, sendmsg,
};

/// Comes with the descriptor.
const HERE_IT_IS: u8 = b'S';
/// The spool was handed over before.
const REFUSED: u8 = b'R';
/// The store says that this attempt is over; instead of the descriptor, or at any time after it.
const FENCED: u8 = b'F';
/// `exec` has written into the spool.
const WRITTEN: u8 = b'W';
/// And nothing more will come.
const OVER: u8 = b'O';
/// All that is in the spool is in the store.
const LANDED: u8 = b'L';

/// A flood of words is read in pieces of this size.
const HEARD_AT_ONCE: usize = 1024;

/// The first that came over the socket.
#[derive(Debug)]
pub enum Answer {
    Spool(OwnedFd),
    Refused,
    /// This attempt is over.
    Fenced,
    /// The connection ended, or something came that is no answer: the other side failed.
    Nothing,
}

/// Sends the spool.
pub fn give(connection: &UnixStream, spool: impl AsFd) -> io::Result<()> {
    let descriptors = [spool.as_fd()];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    answer(connection, HERE_IT_IS, &mut control)
}

/// Says no.
pub fn refuse(connection: &UnixStream) -> io::Result<()> {
    answer(connection, REFUSED, &mut SendAncillaryBuffer::default())
}

/// Says that this attempt is over.
pub fn fence(connection: &UnixStream) -> io::Result<()> {
    answer(connection, FENCED, &mut SendAncillaryBuffer::default())
}

/// Says that the spool has grown. A connection that is full holds that word already, and one that has
/// ended has nobody to hear it.
pub fn tell_written(connection: &UnixStream) {
    tell(connection, WRITTEN);
}

/// Says that the run's last word stands in the spool; false if the connection takes nothing now.
pub fn tell_over(connection: &UnixStream) -> bool {
    tell(connection, OVER)
}

/// Says that the store has it.
pub fn tell_landed(connection: &UnixStream) {
    tell(connection, LANDED);
}

fn tell(connection: &UnixStream, word: u8) -> bool {
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    send(connection, &[word], flags).is_ok()
}

/// What was said since the last time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    pub written: bool,
    pub over: bool,
    pub landed: bool,
    pub fenced: bool,
    /// The other side is gone.
    pub ended: bool,
}

/// Hears all that was said, without waiting.
pub fn hear(connection: &UnixStream) -> Heard {
    let mut heard = Heard::default();
    let mut words = [0; HEARD_AT_ONCE];
    loop {
        match recv(connection, &mut words, RecvFlags::DONTWAIT) {
            Ok((_, count)) if count > 0 => {
                let words = &words[..count];
                heard.written |= words.contains(&WRITTEN);
                heard.over |= words.contains(&OVER);
                heard.landed |= words.contains(&LANDED);
                heard.fenced |= words.contains(&FENCED);
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return heard,
            Ok(_) | Err(_) => {
                heard.ended = true;
                return heard;
            }
        }
    }
}

/// Waits for the answer, as long as the socket's read timeout allows.
pub fn take(connection: &UnixStream) -> io::Result<Answer> {
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut into = [IoSliceMut::new(&mut byte)];
    let received = recvmsg(connection, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let descriptor = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    Ok(match (received.bytes, byte[0], descriptor) {
        (1, HERE_IT_IS, Some(spool)) => Answer::Spool(spool),
        (1, REFUSED, _) => Answer::Refused,
        (1, FENCED, _) => Answer::Fenced,
        _ => Answer::Nothing,
    })
}

fn answer(
    connection: &UnixStream,
    byte: u8,
    control: &mut SendAncillaryBuffer<'_, '_, '_>,
) -> io::Result<()> {
    sendmsg(
        connection,
        &[IoSlice::new(&[byte])],
        control,
        SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Seek, Write};

    use super::*;

    #[test]
    fn a_descriptor_arrives_and_writes_to_the_same_file() {
        let (ship, exec) = UnixStream::pair().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        give(&ship, &file).unwrap();
        let Answer::Spool(spool) = take(&exec).unwrap() else {
            panic!("no spool")
        };
        File::from(spool).write_all(b"line\n").unwrap();
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "line\n");
    }

    #[test]
    fn a_refusal_and_an_end_are_told_apart() {
        let (ship, exec) = UnixStream::pair().unwrap();
        refuse(&ship).unwrap();
        assert!(matches!(take(&exec).unwrap(), Answer::Refused));
        drop(ship);
        assert!(matches!(take(&exec).unwrap(), Answer::Nothing));
    }

    #[test]
    fn words_are_heard_once_and_the_end_is_heard_last() {
        let (ship, exec) = UnixStream::pair().unwrap();
        assert_eq!(hear(&ship), Heard::default());
        tell_written(&exec);
        fence(&ship).unwrap();
        let written = Heard {
            written: true,
            ..Heard::default()
        };
        assert_eq!(hear(&ship), written);
        assert_eq!(hear(&ship), Heard::default());
        assert!(hear(&exec).fenced);
        tell_written(&exec);
        drop(exec);
        let last = Heard {
            ended: true,
            ..written
        };
        assert_eq!(hear(&ship), last);
    }

    #[test]
    fn nobody_waits_for_one_who_does_not_listen() {
        let (_ship, exec) = UnixStream::pair().unwrap();
        for _ in 0..1_000_000 {
            tell_written(&exec);
        }
    }

    #[test]
    fn a_yes_without_a_descriptor_is_no_answer() {
        let (ship, exec) = UnixStream::pair().unwrap();
        (&ship).write_all(&[HERE_IT_IS]).unwrap();
        assert!(matches!(take(&exec).unwrap(), Answer::Nothing));
    }
}
