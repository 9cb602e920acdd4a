"""Python's paho client with blocking calls."""

import itertools
import queue
import threading

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from lab import TARGET

V311, V5 = paho.MQTTv311, paho.MQTTv5
_numbers = itertools.count()


def unique(prefix="t"):
    """A topic prefix or client id nobody else uses, also not in an earlier run."""
    import os
    return f"{prefix}-{os.getpid()}-{next(_numbers)}"


def publish_properties(**values):
    properties = Properties(PacketTypes.PUBLISH)
    for name, value in values.items():
        setattr(properties, name, value)
    return properties


class Peer:
    def __init__(self, version, address=TARGET, client_id=None, clean=True, keepalive=60, will=None):
        self.version = version
        self.inbox = queue.Queue()
        self._connected, self._gone = threading.Event(), threading.Event()
        self._acknowledged = queue.Queue()
        self.session_present = None
        options = {} if version == V5 else {"clean_session": clean}
        self.client = paho.Client(client_id or unique("peer"), protocol=version, **options)
        self.client.reconnect_delay_set(60, 60)  # a lost connection stays lost
        self.client.on_connect = self._on_connect
        self.client.on_message = lambda _c, _u, message: self.inbox.put(message)
        self.client.on_disconnect = lambda *_: self._gone.set()
        self.client.on_subscribe = lambda _c, _u, _m, granted, *_: self._acknowledged.put(granted)
        self.client.on_unsubscribe = lambda *_: self._acknowledged.put(None)
        if will:
            self.client.will_set(*will)
        options = {}
        if version == V5:
            options["clean_start"] = clean
            if not clean:
                options["properties"] = Properties(PacketTypes.CONNECT)
                options["properties"].SessionExpiryInterval = 300
        self.client.connect(*address, keepalive=keepalive, **options)
        self.client.loop_start()
        if not self._connected.wait(10):
            raise AssertionError("no CONNACK")

    def _on_connect(self, _client, _userdata, flags, code, *_):
        self.session_present = bool(flags["session present"])
        if code == 0:
            self._connected.set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()

    def subscribe(self, *filters, **options):
        """(filter, QoS) pairs; returns the codes granted."""
        if self.version == V5:
            given = [(f, paho.SubscribeOptions(qos=q, **options)) for f, q in filters]
        else:
            given = list(filters)
        self.client.subscribe(given)
        granted = self._acknowledged.get(timeout=10)
        return [code.value if hasattr(code, "value") else code for code in granted]

    def unsubscribe(self, *filters):
        self.client.unsubscribe(list(filters))
        self._acknowledged.get(timeout=10)

    def publish(self, topic, payload=b"", qos=0, retain=False, **properties):
        given = publish_properties(**properties) if properties else None
        info = self.client.publish(topic, payload, qos, retain, given)
        info.wait_for_publish(30)

    def next(self, timeout=10):
        try:
            return self.inbox.get(timeout=timeout)
        except queue.Empty:
            raise AssertionError("no message") from None

    def drain(self, quiet=0.4):
        """All messages until none has come for so long."""
        messages = []
        while True:
            try:
                messages.append(self.inbox.get(timeout=quiet))
            except queue.Empty:
                return messages

    def wait_gone(self, timeout=10):
        return self._gone.wait(timeout)


def summary(message):
    """What a receiver can see of a message, comparable between two paths."""
    properties = getattr(message, "properties", None)
    seen = sorted((k, str(v)) for k, v in properties.json().items()) if properties else []
    return (message.topic, bytes(message.payload), message.qos, bool(message.retain), tuple(seen))
