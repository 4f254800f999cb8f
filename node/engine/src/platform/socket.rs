//! What is set of a socket beyond what `socket2` offers on all systems.

use socket2::Socket;

/// Asks for buffers of so many bytes; what is granted is read back, and is enough to run with in any case.
///
/// Linux: past the system's limit, for those who may.
pub(crate) fn enlarge_buffers(socket: &Socket, receive: usize, send: usize) {
    #[cfg(target_os = "linux")]
    {
        use rustix::net::sockopt;
        let _ = sockopt::set_socket_recv_buffer_size_force(socket, receive)
            .or_else(|_| sockopt::set_socket_recv_buffer_size(socket, receive));
        let _ = sockopt::set_socket_send_buffer_size_force(socket, send)
            .or_else(|_| sockopt::set_socket_send_buffer_size(socket, send));
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = socket.set_recv_buffer_size(receive);
        let _ = socket.set_send_buffer_size(send);
    }
}
