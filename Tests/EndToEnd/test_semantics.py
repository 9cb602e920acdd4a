"""MQTT as paho clients see it, in both protocol versions.

Where a broker has a choice, the same scenario runs on stock mosquitto and must look the same.
"""

import os
import time
import unittest

from lab import STOCK, TARGET, dpuctl, eventually, needs_offload, slow
from peers import V311, V5, Peer, summary, unique
import wire


class Semantics:
    version = None

    def peer(self, address=TARGET, **options):
        peer = Peer(self.version, address, **options)
        self.addCleanup(peer.close)
        return peer

    def same_as_stock(self, scenario):
        """Runs `scenario(address, prefix)` on both paths with the same prefix."""
        prefix = unique("same")
        expected, seen = scenario(STOCK, prefix), scenario(TARGET, prefix)
        self.assertEqual(expected, seen)
        return seen

    def test_every_pair_of_qos(self):
        topic = unique()
        publisher = self.peer()
        subscribers = [self.peer() for _ in range(3)]
        for qos, subscriber in enumerate(subscribers):
            self.assertEqual(subscriber.subscribe((topic, qos)), [qos])
        for qos in range(3):
            publisher.publish(topic, b"at %d" % qos, qos)
            for granted, subscriber in enumerate(subscribers):
                message = subscriber.next()
                self.assertEqual(message.payload, b"at %d" % qos)
                self.assertEqual(message.qos, min(qos, granted))
                self.assertFalse(message.retain)
        for subscriber in subscribers:
            self.assertEqual(subscriber.drain(), [])

    def test_retained(self):
        topic = unique()
        publisher, early = self.peer(), self.peer()
        early.subscribe((topic, 1))
        publisher.publish(topic, b"kept", 0, retain=True)
        self.assertFalse(early.next().retain)
        late = self.peer()
        late.subscribe((topic, 1))
        message = late.next()
        self.assertEqual((message.payload, bool(message.retain)), (b"kept", True))
        publisher.publish(topic, b"", 1, retain=True)
        self.assertEqual(late.next().payload, b"")
        after = self.peer()
        after.subscribe((topic, 1))
        self.assertEqual(after.drain(), [])

    def test_will(self):
        topic = unique()
        watcher = self.peer()
        watcher.subscribe((topic, 1))
        version = wire.V5 if self.version == V5 else wire.V311
        will = (topic, "gone", 1, False)
        polite = wire.Wire.open(TARGET, unique("polite"), version, will=will)
        polite.send(wire.GOODBYE)
        polite.close()
        self.assertEqual(watcher.drain(0.6), [])
        lost = wire.Wire.open(TARGET, unique("lost"), version, will=will)
        lost.close()
        self.assertEqual(watcher.next().payload, b"gone")
        reset = wire.Wire.open(TARGET, unique("reset"), version, will=will)
        reset.reset()
        self.assertEqual(watcher.next().payload, b"gone")

    def test_will_follows_the_messages_of_its_client(self):
        topic = unique()
        watcher = self.peer()
        watcher.subscribe((topic, 1))
        version = wire.V5 if self.version == V5 else wire.V311
        client = wire.Wire.open(TARGET, unique("w"), version, will=(topic, "will", 0, False))
        for number in range(50):
            client.send(wire.publish(topic, b"%d" % number, version))
        client.close()
        seen = [watcher.next().payload for _ in range(51)]
        self.assertEqual(seen, [b"%d" % n for n in range(50)] + [b"will"])

    def test_three_megabytes(self):
        topic = unique()
        payload = os.urandom(3 << 20)
        publisher, subscriber = self.peer(), self.peer()
        subscriber.subscribe((topic, 2))
        for qos in range(3):
            publisher.publish(topic, payload, qos)
            self.assertTrue(subscriber.next(60).payload == payload, "payload differs")

    def test_small_messages_beside_a_large_one(self):
        topic = unique()
        large = os.urandom(3 << 20)
        bulk, chatter, subscriber = self.peer(), self.peer(), self.peer()
        subscriber.subscribe((f"{topic}/#", 0))
        bulk.client.publish(f"{topic}/large", large, 0)
        for number in range(200):
            chatter.publish(f"{topic}/small", b"%d" % number)
        small = []
        for _ in range(201):
            message = subscriber.next(60)
            if message.topic.endswith("large"):
                self.assertTrue(message.payload == large, "payload differs")
            else:
                small.append(message.payload)
        self.assertEqual(small, [b"%d" % n for n in range(200)])

    def test_wildcards(self):
        def scenario(address, prefix):
            publisher, seen = self.peer(address), {}
            filters = [
                f"{prefix}/a/b", f"{prefix}/+/b", f"{prefix}/#", f"{prefix}/a/#", f"{prefix}/a/b/#",
                f"{prefix}/+", f"{prefix}/+/+", "+/a/b", f"{prefix}//b", f"{prefix}/+/b/#", "#",
            ]
            subscribers = [self.peer(address) for _ in filters]
            for subscriber, given in zip(subscribers, filters):
                subscriber.subscribe((given, 0))
            for topic in ("a/b", "a", "", "/b", "a/b/c", "ä/b", "x/y/z/w", "a/b/"):
                publisher.publish(f"{prefix}/{topic}", topic.encode())
            publisher.publish(prefix, b"root")
            for subscriber, given in zip(subscribers, filters):
                seen[given] = [summary(m) for m in subscriber.drain() if m.topic.startswith(prefix)]
            return seen

        seen = self.same_as_stock(scenario)
        self.assertTrue(all(seen.values()))

    def test_overlapping_subscriptions(self):
        def scenario(address, prefix):
            publisher, subscriber = self.peer(address), self.peer(address)
            subscriber.subscribe((f"{prefix}/#", 2), (f"{prefix}/+", 1), (f"{prefix}/x", 0))
            for qos in range(3):
                publisher.publish(f"{prefix}/x", b"%d" % qos, qos)
            return [summary(m) for m in subscriber.drain(0.6)]

        self.same_as_stock(scenario)

    def test_dollar_topics_need_their_own_filter(self):
        subscriber, system = self.peer(), self.peer()
        subscriber.subscribe(("#", 0), ("+/broker/#", 0))
        system.subscribe(("$SYS/broker/version", 0))
        self.assertIn(b"mosquitto", system.next().payload)
        self.assertEqual([m for m in subscriber.drain() if m.topic.startswith("$")], [])

    def test_unsubscribe(self):
        topic = unique()
        publisher, subscriber = self.peer(), self.peer()
        subscriber.subscribe((topic, 0), (f"{topic}/+", 0))
        publisher.publish(topic, b"1")
        self.assertEqual(subscriber.next().payload, b"1")
        subscriber.unsubscribe(topic)
        publisher.publish(topic, b"2")
        publisher.publish(f"{topic}/x", b"3")
        self.assertEqual([m.payload for m in subscriber.drain()], [b"3"])

    def test_order_across_kinds_of_messages(self):
        """QoS 0 from the DPU between QoS 1, retained and QoS 2 from the broker.

        Subscribers are granted at most QoS 1: a QoS 2 receiver shows a message only when it is
        released, later than those that follow it.
        """
        topic = unique()
        publisher, subscribers = self.peer(), [self.peer() for _ in range(2)]
        for qos, subscriber in enumerate(subscribers):
            subscriber.subscribe((topic, qos))
        kinds = [(0, False), (0, False), (1, False), (0, True), (0, False), (2, False)]
        sent = []
        for number in range(300):
            qos, retain = kinds[number % len(kinds)]
            sent.append(b"%d" % number)
            # QoS 2 is distributed when it is released: it is waited for, the others are not.
            if qos == 2:
                publisher.publish(topic, sent[-1], qos, retain)
            else:
                publisher.client.publish(topic, sent[-1], qos, retain)
        publisher.publish(topic, b"", 1, retain=True)
        for subscriber in subscribers:
            seen = [subscriber.next().payload for _ in range(301)]
            self.assertEqual(seen[:300], sent)

    def test_many_messages_at_once(self):
        topic = unique()
        publisher, subscribers = self.peer(), [self.peer() for _ in range(4)]
        for subscriber in subscribers:
            subscriber.subscribe((topic, 0))
        for start in range(0, 5000, 500):
            for number in range(start, start + 500):
                publisher.client.publish(topic, b"%d" % number)
            for subscriber in subscribers:
                self.assertEqual(
                    [subscriber.next().payload for _ in range(500)],
                    [b"%d" % n for n in range(start, start + 500)])

    def test_take_over(self):
        name, topic = unique("owner"), unique()
        first = self.peer(client_id=name)
        first.subscribe((topic, 0))
        second = self.peer(client_id=name)
        self.assertTrue(first.wait_gone())
        publisher = self.peer()
        publisher.publish(topic, b"nobody")
        second.subscribe((f"{topic}/new", 0))
        publisher.publish(topic, b"nobody")
        publisher.publish(f"{topic}/new", b"yes")
        self.assertEqual([m.payload for m in second.drain()], [b"yes"])

    def test_session_is_kept(self):
        name, topic = unique("session"), unique()
        first = self.peer(client_id=name, clean=False)
        first.subscribe((topic, 1))
        first.close()
        publisher = self.peer()
        # In this order: the PUBACK of the second says that the broker has seen both.
        publisher.publish(topic, b"not kept", 0)
        publisher.publish(topic, b"while away", 1)
        second = self.peer(client_id=name, clean=False)
        self.assertTrue(second.session_present)
        publisher.publish(topic, b"back", 0)
        self.assertEqual([m.payload for m in second.drain()], [b"while away", b"back"])
        second.close()
        self.peer(client_id=name).close()

    def test_taken_over_session_keeps_its_subscriptions(self):
        name, topic = unique("session"), unique()
        first = self.peer(client_id=name, clean=False)
        first.subscribe((topic, 0))
        second = self.peer(client_id=name, clean=False)
        self.assertTrue(second.session_present)
        self.peer().publish(topic, b"to the second")
        self.assertEqual(second.next().payload, b"to the second")
        second.close()
        self.peer(client_id=name).close()

    def test_empty_and_odd_messages(self):
        def scenario(address, prefix):
            publisher, subscriber = self.peer(address), self.peer(address)
            subscriber.subscribe((f"{prefix}/#", 1))
            long_level = "l" * 3000
            for topic in ("/", "//", "é/😀", long_level, "/".join("x" * 150), "with space"):
                publisher.publish(f"{prefix}/{topic}", b"")
                publisher.publish(f"{prefix}/{topic}", b"\0\xff" * 40)
            return [summary(m) for m in subscriber.drain()]

        self.assertEqual(len(self.same_as_stock(scenario)), 12)

    def test_publisher_hears_itself(self):
        topic = unique()
        peer = self.peer()
        peer.subscribe((topic, 0))
        for number in range(20):
            peer.publish(topic, b"%d" % number)
        self.assertEqual([m.payload for m in peer.drain()], [b"%d" % n for n in range(20)])

    def test_shared_subscription(self):
        topic = unique()
        group = [self.peer() for _ in range(2)]
        plain, publisher = self.peer(), self.peer()
        for member in group:
            member.subscribe((f"$share/g/{topic}", 0))
        plain.subscribe((topic, 0))
        sent = [b"%d" % n for n in range(40)]
        for payload in sent:
            publisher.publish(topic, payload)
        self.assertEqual([m.payload for m in plain.drain()], sent)
        shared = [m.payload for member in group for m in member.drain()]
        self.assertEqual(sorted(shared), sorted(sent))

    @slow
    def test_keep_alive_of_a_client_that_only_publishes(self):
        topic = unique()
        version = wire.V5 if self.version == V5 else wire.V311
        subscriber = self.peer()
        subscriber.subscribe((topic, 0))
        client = wire.Wire.open(TARGET, unique("busy"), version, keepalive=2)
        for number in range(14):
            client.send(wire.publish(topic, b"%d" % number, version))
            time.sleep(0.5)
        client.send(wire.publish(topic, b"last", version, qos=1, identifier=1))
        self.assertEqual(client.next_packet()[0], wire.PUBACK)
        # Not a byte it did not ask for: CONNACK and PUBACK only.
        self.assertFalse(client.quiet())
        self.assertEqual(client.read, len(client.stream))
        self.assertEqual(len(subscriber.drain()), 15)
        # Now silent: the broker's keep-alive must still work.
        start = time.monotonic()
        self.assertTrue(client.is_closed(12))
        self.assertGreater(time.monotonic() - start, 1.5)


class MQTT311(Semantics, unittest.TestCase):
    version = V311


class MQTT5(Semantics, unittest.TestCase):
    version = V5

    def test_no_local(self):
        topic = unique()
        peer, other = self.peer(), self.peer()
        peer.subscribe((topic, 0), noLocal=True)
        peer.publish(topic, b"own")
        other.publish(topic, b"other")
        self.assertEqual([m.payload for m in peer.drain()], [b"other"])

    def test_properties_arrive(self):
        def scenario(address, prefix):
            publisher, subscriber = self.peer(address), self.peer(address)
            subscriber.subscribe((prefix, 1))
            for qos in (0, 1):
                publisher.publish(
                    prefix, b"p", qos, UserProperty=[("a", "1"), ("b", "2"), ("a", "3")],
                    ContentType="text/plain", ResponseTopic="answer", CorrelationData=b"\1\2",
                    PayloadFormatIndicator=1)
            return [summary(m) for m in subscriber.drain()]

        self.assertEqual(len(self.same_as_stock(scenario)), 2)

    def test_message_expiry(self):
        topic = unique()
        publisher, subscriber = self.peer(), self.peer()
        subscriber.subscribe((topic, 0))
        publisher.publish(topic, b"e", MessageExpiryInterval=30)
        self.assertIn(subscriber.next().properties.MessageExpiryInterval, (29, 30))

    def test_topic_alias(self):
        def scenario(address, prefix):
            publisher = wire.Wire.open(address, unique("alias"), wire.V5)
            self.addCleanup(publisher.close)
            subscriber = self.peer(address)
            subscriber.subscribe((f"{prefix}/#", 1))
            alias = lambda number: bytes([0x23, 0, number])
            publisher.send(wire.publish(f"{prefix}/one", b"1", wire.V5, listed=alias(1)))
            publisher.send(wire.publish("", b"2", wire.V5, listed=alias(1)))
            publisher.send(
                wire.publish("", b"3", wire.V5, qos=1, identifier=7, listed=alias(1)))
            publisher.send(wire.publish(f"{prefix}/two", b"4", wire.V5, listed=alias(1)))
            publisher.send(wire.publish("", b"5", wire.V5, listed=alias(1)))
            publisher.send(wire.publish(f"{prefix}/three", b"6", wire.V5, listed=alias(2)))
            publisher.send(
                wire.publish("", b"7", wire.V5, qos=1, identifier=8, listed=alias(2)))
            return [summary(m) for m in subscriber.drain()]

        self.assertEqual(len(self.same_as_stock(scenario)), 7)

    def test_subscription_identifiers(self):
        def scenario(address, prefix):
            subscriber = wire.Wire.open(address, unique("ids"), wire.V5)
            self.addCleanup(subscriber.close)
            subscriber.send(
                wire.subscribe(1, [(f"{prefix}/#", 0)], wire.V5, bytes([0x0B, 5]))
                + wire.subscribe(2, [(f"{prefix}/x", 0)], wire.V5, bytes([0x0B, 0x80 | 9, 1])))
            subscriber.quiet(0.2)
            mark = len(subscriber.stream)
            publisher = self.peer(address)
            for number in range(5):
                publisher.publish(f"{prefix}/x", b"%d" % number)
                publisher.publish(f"{prefix}/y", b"%d" % number)
            subscriber.quiet()
            return subscriber.stream[mark:]

        self.same_as_stock(scenario)

    @needs_offload
    def test_subscriptions_are_listed(self):
        topic, name = unique(), unique("listed")

        def rows():
            listing = dpuctl("call", "mqtt.topics", '{"limit":1000}')
            return sorted(
                (row["filter"], row["clientID"], row["grantedQoS"], row["noLocal"], row["shared"])
                for row in listing["subscriptions"] if row["filter"].startswith(topic))

        client = self.peer(client_id=name, clean=False)
        client.subscribe((f"{topic}/+/#", 1), (f"{topic}//å", 0), noLocal=True)
        self.assertEqual(
            rows(), [(f"{topic}/+/#", name, 1, True, False), (f"{topic}//å", name, 0, True, False)])
        client.unsubscribe(f"{topic}//å")
        client.subscribe((f"$share/group/{topic}/s", 2))
        self.assertEqual(
            rows(), [(f"{topic}/+/#", name, 1, True, False), (f"{topic}/s", name, 2, False, True)])
        client.close()
        eventually(lambda: rows() == [(f"{topic}/+/#", None, 1, True, False),
                                      (f"{topic}/s", None, 2, False, True)], what="the kept ones")
        self.peer(client_id=name).close()
        eventually(lambda: rows() == [], what="no subscription")

    def test_mixed_versions(self):
        topic = unique()
        old = Peer(V311)
        self.addCleanup(old.close)
        new = self.peer()
        for peer in (old, new):
            peer.subscribe((topic, 0))
        new.publish(topic, b"from 5.0", UserProperty=("k", "v"))
        old.publish(topic, b"from 3.1.1")
        self.assertEqual([m.payload for m in old.drain()], [b"from 5.0", b"from 3.1.1"])
        seen = new.drain()
        self.assertEqual([m.payload for m in seen], [b"from 5.0", b"from 3.1.1"])
        self.assertEqual(seen[0].properties.UserProperty, [("k", "v")])
