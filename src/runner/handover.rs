//! What `ship` and `exec` say to each other on their socket: one byte, and with the good one the
//! spool's descriptor. A descriptor travels, and not a path, because the agent runs beside `exec` and
//! must find no way to the file.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Comes with the descriptor.
const HERE_IT_IS: u8 = b'S';
/// The spool was handed over before.
const REFUSED: u8 = b'R';

/// What came over the socket.
#[derive(Debug)]
pub enum Answer {
    Spool(OwnedFd),
    Refused,
    /// The connection ended, or something came that is no answer: the other side failed.
    Nothing,
}

/// Sends the spool.
pub fn give(connection: &UnixStream, spool: impl AsFd) -> io::Result<()> {
    let descriptors = [spool.as_fd()];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    send(connection, HERE_IT_IS, &mut control)
}

/// Says no.
pub fn refuse(connection: &UnixStream) -> io::Result<()> {
    send(connection, REFUSED, &mut SendAncillaryBuffer::default())
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
        _ => Answer::Nothing,
    })
}

fn send(
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
    fn a_yes_without_a_descriptor_is_no_answer() {
        let (ship, exec) = UnixStream::pair().unwrap();
        (&ship).write_all(&[HERE_IT_IS]).unwrap();
        assert!(matches!(take(&exec).unwrap(), Answer::Nothing));
    }
}
