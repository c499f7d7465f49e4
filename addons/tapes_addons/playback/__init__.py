"""The server that plays a recording: HTTP/1.1 and WebSockets on an address of ours, answers from `tapes.playback`. It
opens no connection to anybody."""
