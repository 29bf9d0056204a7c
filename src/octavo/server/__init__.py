"""The app-server: protocol methods over live threads.

`server.Server` holds the threads and is connected to over any `rpc.Link`; a face in the same
process is connected like any other. Methods are in `methods/`, one file a noun.
"""
