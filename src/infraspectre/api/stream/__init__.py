"""The stream: what happens, pushed over WebSocket or server-sent events to clients that may be many, slow or gone."""
