"""F3: what a broker does with requests. Asynchronous, without sockets, without the wire."""
