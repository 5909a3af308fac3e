"""Every grace period, timeout and bound of the running gateway, in one table.

One name stands for one idea: what several modules wait for or bound alike has one entry. Parameters of algorithms
(ranking, prefetch, speech, rendering) stay in their modules. Numbers that operators set are in `settings`. Names have
their unit, before `_MAX` or `_MIN`, which are inclusive. Each comment says what is bounded and why by this number.
"""

from __future__ import annotations

MINUTE_SECONDS = 60.0
DAY_SECONDS = 86_400
MIB = 1024 * 1024

# Closing. Each runs under a shield with this timeout, so that a cancelled task still closes what it opened (I7, I8).
LINK_CLOSE_SECONDS_MAX = 0.5  # closing handshake of a connection to an upstream: two round trips of 250 ms
CLIENT_CLOSE_SECONDS_MAX = 0.8  # wait for a client's close frame; with the rest of a session's end below 2 s
PEER_CLOSE_SECONDS_MAX = 1.0  # the same in our voice client, the embedded server and the scripted model
SESSION_CLOSE_SECONDS_MAX = 2.0  # last events and close frames of a session, both sides together
RELEASE_SECONDS_MAX = 2.0  # giving slots and leases back after a session; several calls to Redis of 250 ms
EVICT_SECONDS_MAX = 5.0  # for a session to close that is resumed elsewhere; after that the resume goes on
DISPLACED_CLOSE_SECONDS = 0.1  # closing a connection that made room for another one: its error and close frame leave
DISCARD_SECONDS_MAX = 60.0  # reading what a refused client still sends; the server then closes the connection itself
FLUSH_SECONDS_MAX = 2.0  # at the end of a process: webhook, Sentry, traces and spending send what is queued
DISCONNECT_SECONDS_MAX = 1.0  # at the end of a process: pending writes to Redis, the passage cache, the announcement

# Shutdown, after SIGTERM. Orchestrators commonly kill after 10 s (`docker stop`), so that everything ends before.
DRAIN_SECONDS_MAX = 8.0  # a response in progress may end
DRAIN_CHECK_SECONDS = 0.1  # between two checks whether it has
SESSIONS_END_SECONDS_MAX = 9.4  # from the signal: draining, then the closing handshakes
CONNECTIONS_DROPPED_SECONDS = 9.8  # from the signal: every connection that is still open is shut down
CONNECTIONS_END_SECONDS_MAX = 0.5  # for requests under way, once the listening socket is closed
ASGI_SESSIONS_END_SECONDS_MAX = 10.0  # the same under another ASGI server, which decides itself when it is killed

# Worker processes.
WORKER_START_SECONDS_MAX = 60.0  # from the start of a worker until it serves
WORKER_STARTS_MAX = 5  # failed starts in a row while no worker serves; then the server ends
WORKER_PAUSE_SECONDS = 0.5  # before a dead worker is replaced; doubles with each replacement
WORKER_PAUSE_SECONDS_MAX = 30.0
WORKER_PROVEN_SECONDS = 60.0  # a worker that served this long resets the pause
WORKER_DRAIN_SECONDS_MAX = 15.0  # a worker ends within 10 s of the signal; one that does not is killed
WORKER_ABRUPT_SECONDS_MAX = 2.0  # the same after a second signal
HEARTBEAT_SECONDS = 5.0  # between two messages of a worker to its parent
HEARTBEAT_SILENCE_SECONDS_MAX = 15.0  # two heartbeats may be lost
HEARTBEAT_SILENCES_MAX = 2  # a worker is killed after so many; the first may be a pause of the whole machine
SNAPSHOT_SECONDS_MAX = 1.0  # for the statistics of another worker; a later one is left out
SNAPSHOT_BYTES_MAX = 64 * MIB  # of such statistics
ACCEPT_STEP_SECONDS = 0.003  # a worker waits so long for each connection that it has more than the least loaded one
ACCEPT_SECONDS_MAX = 0.015  # for that wait in all; no connection is noticeably late

# Tasks beside the sessions. One that fails is started again.
BACKGROUND_PAUSE_SECONDS = 1.0  # before the next run; doubles with each failure
BACKGROUND_PAUSE_SECONDS_MAX = 30.0
BACKGROUND_PROVEN_SECONDS = 60.0  # a run of this length resets the pause

# The watchdog. VOICE_WATCHDOG_SECONDS says how long the event loop may stand still.
WATCHDOG_FEED_SECONDS = 1.0  # between two feeds by the event loop, and between two looks at them
WATCHDOG_MEMORY_BYTES = MIB  # that must be free: a new session needs more

# Sockets. A listening socket passes its options on to the connections that it accepts.
LISTEN_BACKLOG = 256  # connections that wait to be accepted
ACCEPT_PAUSE_SECONDS = 0.1  # after a connection that could not be accepted for want of descriptors or memory
UNADMITTED_MIN = 16  # connections without a session that are served even if the open-file limit is far too low
SPARE_DESCRIPTORS = 64  # of the open-file limit: files, databases, connections to other services
DESCRIPTORS_PER_SESSION = 3  # client, upstream, and a sidecar or an upstream that is being replaced
TLS_HANDSHAKE_SECONDS_MAX = 10.0  # of a client
REQUEST_HEAD_SECONDS_MAX = 10.0  # from the first byte of a request's head (of the first: from the accept) to its end
KEEP_ALIVE_SECONDS_MAX = 60.0  # between two requests of a connection: longer than a scraper's usual interval of 15 s
BODY_SILENCE_SECONDS_MAX = 30.0  # between two reads of a request's body
BODY_SECONDS_MAX = 120.0  # for a whole body: BODY_BYTES_MAX at 9 KB/s
RESPONSE_SEND_SECONDS_MAX = 30.0  # for one piece of a response; then the client does not read
LINGER_SECONDS_MAX = 1.0  # reading what a refused client still sends, so that no reset overtakes the response
UNACKNOWLEDGED_MS_MAX = 5_000  # TCP_USER_TIMEOUT: ends a connection whose peer acknowledges no data (I9)
SEND_BUFFER_BYTES = 64 * 1024  # small, so that a client that does not read is detected after 1 or 2 s of audio
KEEPALIVE_IDLE_SECONDS = 15  # TCP keepalive: finds a lost client while nothing is sent
KEEPALIVE_INTERVAL_SECONDS = 5
KEEPALIVE_PROBES_MAX = 3
PING_SECONDS = 20.0  # between two WebSocket pings, below the idle timeout of common proxies (60 s)
PONG_SECONDS_MAX = 10.0  # a later pong means a lost connection
UPSTREAM_PING_SECONDS = 3.5  # to an upstream; with the pong and two checks 7 s, after which it is given up
UPSTREAM_PONG_SECONDS_MAX = 3.0
PING_CHECK_SECONDS = 0.25  # between two looks at which links of the process want a ping
MESSAGES_WITHOUT_CHECKPOINT_MAX = 16  # from one read; then other tasks run, and a cancellation is noticed
CLOSE_REASON_BYTES_MAX = 123  # RFC 6455 §5.5: a control frame has 125 bytes, two of which are the code

HEAD_BYTES_MAX = 32 * 1024  # of a request's or a response's head: as much as a query may have
ERROR_BODY_BYTES_MAX = 64 * 1024  # read of an HTTP response in place of an upgrade

# Messages. A bound on each message and on each queue bounds the memory of a session.
FIRST_MESSAGE_BYTES_MAX = 32 * 1024  # of one message until admission: it holds a token of 8 KiB at most
VOICE_MESSAGE_BYTES_MAX = MIB  # of one message of a voice client; part of the contract
MESSAGE_BYTES_MAX = 16 * MIB  # of one WebSocket message: above OpenAI's largest event, 15 MiB of audio in base64
RECEIVE_BYTES = 64 * 1024  # of one read from a socket
EMPTY_FRAGMENTS_MAX = 100  # in one WebSocket message: each costs time and no byte of its size; no client sends many
TLS_RECORD_BYTES = 16 * 1024  # of plaintext in one record at most (RFC 8446 §5.1); one step of encryption
CLIENT_BASE_BYTES = MIB  # of a client's messages, held for each connection in any case: every message but large ones
CLIENTS_BYTES_MAX = 64 * MIB  # above that, of all clients of a process together: four of the largest messages
USER_BYTES_MAX = 16 * MIB  # of these one user may hold a quarter: one of the largest messages
LARGE_MESSAGE_SECONDS_MAX = 60.0  # for a message over the base amount to come: the largest at 2.2 Mbit/s
LINK_MESSAGES_QUEUED_MAX = 32  # in trio-websocket, which reads no further while its queue is full (its default is 1)
QUERY_BYTES_MAX = 32_768  # of a query string at the upgrade; it may hold a token
BODY_BYTES_MAX = MIB  # of an HTTP request: a rollout document may list 10,000 users

# Admission.
TOKEN_MESSAGE_SECONDS_MAX = 5.0  # from the upgrade to the message with the token
TOKEN_SECONDS_MAX = 6.0  # verifying a token: a little more than a fetch of the provider's keys
TOKEN_CHARS_MAX = 8192  # proxies accept a header of 8 KiB
TOKEN_CLOCK_TOLERANCE_SECONDS = 5.0  # for `nbf` and `iat`: an issuer's clock may be ahead; `exp` is exact
ID_CHARS_MAX = 256  # of a user id and of every other text in the claims
PLAN_SECONDS_MAX = 5.0  # for the plan service
PLAN_RESPONSE_BYTES_MAX = 65_536
PLAN_CONNECTIONS_MAX = 20  # to the plan service
JWKS_FETCH_SECONDS_MAX = 5.0  # for the provider's keys
JWKS_FRESH_SECONDS = 300.0  # keys are used without another fetch; the default of PyJWKClient
JWKS_STALE_SECONDS_MAX = 3600.0  # old keys are used while the provider is unreachable; a withdrawn one no longer
JWKS_REFETCH_SECONDS_MIN = 30.0  # between two fetches while there are keys, also for unknown key ids
JWKS_RETRY_SECONDS_MIN = 5.0  # between two fetches while there are none
JWKS_THREADS_MAX = 2
CLIENT_SECRET_SECONDS_MIN, CLIENT_SECRET_SECONDS_MAX = 10, 7200  # OpenAI's, from the types of its client library
CLIENT_SECRET_SECONDS = 600  # the default; OpenAI's too
CLIENT_SECRET_SESSION_BYTES_MAX = 4096  # of presets: the secret is one header, of which proxies accept 8 KiB
ATTEMPTS_PER_MINUTE = 20  # of one user, with any result
FAILED_TOKENS_PER_MINUTE = 30  # from one address, that did not verify; a token that verifies passes all the same
RESUME_SECONDS_LEFT_MIN = 1.0  # a session with less time left is not resumed
RECENT_KEYS_MAX = 10_000  # users or addresses whose recent events are counted; the oldest are evicted
REPEATED_REFUSALS = 3  # of one token or user in a minute; from then on at the handshake, or with a late close
REPEATED_REFUSAL_SECONDS = 2.0  # between such a refusal after the upgrade and its close: a client that loops is slow
REFUSALS_LOGGED_PER_MINUTE = 5  # lines of one user (or address), code and request: the form changes with the third
UNKNOWN_REFUSALS_LOGGED_PER_MINUTE = 120  # lines of all refusals without a user: two a second, from any addresses
ERROR_CODES_OF_SESSION_MAX = 20  # of errors that one session counts by code; ours are 17, upstreams have their own
ERROR_CODES_MAX = 60  # of errors that the metrics of a process tell apart
ERROR_CODE_CHARS_MAX = 64  # of a code that is counted: twice the longest of ours
PLANS_COUNTED_MAX = 20  # plans that a metric tells apart; further ones count as one
REPEATED_REFUSALS_HELD_MAX = 64  # connections of a process that wait so; further ones close at once

# Sessions.
ATTEMPT_SECONDS_MAX = 4.0  # one first attempt to connect to the upstream, with its handshake; usual is below 1 s
CONNECT_SECONDS_MAX = 60.0  # all attempts to connect to the upstream together
RECOVERY_SECONDS = 30.0  # the default of UPSTREAM_RECOVERY_SECONDS: a restart, or a failover, takes that long
RECOVERY_ATTEMPT_SECONDS_MAX = 3.0  # one attempt to replace a lost upstream: the user waits
RECOVERY_PAUSE_SECONDS = 0.3  # after the first failed attempt of a session, and of an open breaker; doubles each time
RECOVERY_PAUSE_SECONDS_MAX = 4.0  # so an upstream that is back is found within so long
UPSTREAM_PROVEN_SECONDS = 5.0  # a connection that is lost earlier counts as a failed attempt: the pauses grow on
UPSTREAM_FAILURES_MAX = 5  # in a row over sessions; then the breaker of the process opens
UPSTREAM_DIALS_MAX = 16  # connections to the upstream that a process opens at once
RECOVERIES_MAX = 10  # lost upstream connections of one session within a minute; then it ends
UPSTREAM_SEND_SECONDS_MAX = 10.0  # for one send; then the upstream counts as lost
CLIENT_SEND_SECONDS_MAX = 5.0  # for one send; then the client is closed (I9)
IDLE_CHECK_SECONDS_MAX = 5.0  # between two checks of the idle timeout while either side speaks
WARNING_SECONDS_LEFT = (60, 10)  # when a session warns of its end; part of the contract
RESPONSE_SILENT_SECONDS = 8.0  # no event of a response that was asked for; then the client gets session.waiting (I14)
RESPONSE_CREATED_SECONDS_MAX = 30.0  # from response.create to response.created; then the client gets an error (I14)
RESPONSE_STALL_SECONDS_MAX = 30.0  # an active response without an event; then it is abandoned (I14)
RESPONSE_DONE_SECONDS_MAX = 3.0  # from an interruption to response.done; then cancelled by id, then abandoned
POSITION_SECONDS_MAX = 0.3  # for a client's report of its playback position after a flush

SKIPPED_LOG_BURST, SKIPPED_LOG_PER_SECOND = 3.0, 0.1  # log lines about messages of an upstream that cannot be read

# What a client may send. Bursts are events at once, rates are events a second in the long run.
NOT_JSON_MAX = 10  # messages that are no JSON; then the connection ends
TIME_BILLED_SECONDS = 2.0  # of a session whose time costs something: by at most so much of it a budget is exceeded
COMMIT_MISSING_SECONDS = 3.0  # from the end of speech to its commit; some servers transcribe first, some commit never
UTTERANCE_SECONDS_MAX = 120.0  # of speech that the gateway detects itself: noise that never ends is committed too
CONTROL_BURST, CONTROL_PER_SECOND = 100.0, 50.0  # all events but audio; four playback positions a second are usual
CONTROL_SLOWED_SECONDS_MAX = 30.0  # of slowing a WebSocket's control frames down without a break; then it closes
CONTROL_BREAK_SECONDS = 1.0  # without slowing down are such a break; a busy process has many shorter ones
FRAGMENTS_PER_CONTROL_FRAME = 20  # parsing one takes so much less time: 1,000 a second, 16 MiB/s in pieces of 16 KiB
QUESTIONS_BURST, QUESTIONS_PER_SECOND = 5.0, 1.0  # each is searched
PASSAGES_OPENED_BURST, PASSAGES_OPENED_PER_SECOND = 20.0, 2.0  # a page may open all of a turn; each is read by a person
PASSAGE_SHOWN_CHARACTERS_MAX = 20_000  # of one that is opened: some ten pages; imported ones have about a thousand
PASSAGE_SHOWN_CHARACTERS_MIN = 500  # that each counts for at least: its title, its id and the objects around them
PASSAGES_SHOWN_CHARACTERS_MAX = 250_000  # that a session remembers: about 160 passages, so 32 turns of five
ERRORS_BURST, ERRORS_PER_SECOND = 10.0, 1.0  # errors that a client gets; further ones are counted only
BYTES_PER_CONTROL_EVENT = 65_536  # a large message counts as several: decoding it takes time from other sessions
AUDIO_MESSAGE_SECONDS_MIN = 0.005  # a shorter one counts as long: its cost is the message, of which 400 a second pass
AUDIO_MESSAGE_SECONDS_MAX = 2.0  # of audio in one message; until the rate allows it, nothing else is read
AUDIO_AHEAD_SECONDS_MAX = 5.0  # of audio at once: what was recorded while connecting
PASSTHROUGH_AHEAD_SECONDS_MAX = 60.0  # the same of an OpenAI client, which may send a recording at once
AUDIO_SPEED_MAX = 2.0  # times real time in the long run
CLIENT_FRAMES_QUEUED_MAX = 6_000  # received and not handled yet: a minute of sound in pieces of 10 ms
CLIENT_BYTES_QUEUED_MAX = 16 * MIB

CLIENT_TOOLS_BYTES_MAX = 128 * 1024  # of a client's functions as JSON, which each response reads again
CLIENT_PICTURE_CHARS_MAX = 15 * MIB  # of one data URL: OpenAI's largest event

# What a session queues, in seconds of audio, messages and bytes.
CLIENT_AUDIO_QUEUED_SECONDS_MAX = 240.0  # to a client: the longest response is about 205 s (4,096 tokens of 50 ms)
CLIENT_FRAMES_TO_SEND_MAX = 20_000  # that much audio in pieces of 20 ms with their text, and some more
CLIENT_OVERFLOW_MAX = 1.25  # times these bounds: what still comes when the upstream that flooded has been given up
CLIENT_LEAD_SECONDS_MAX = 1.0  # of audio that a client may have unplayed if it never reports its position
UPSTREAM_EARLY_SECONDS_MAX = 5.0  # of audio before the upstream is ready
UPSTREAM_QUEUED_SECONDS_MAX = 20.0  # afterwards: the early or kept audio at network speed, and a slow moment
SPEECH_KEPT_SECONDS_MAX = 15.0  # of a sentence that is being said, for the next upstream if this one is lost
SPEECH_ANNOUNCED_SECONDS_MAX = 3.0  # by the next upstream, from its beginning; longer, and there was none
SPEECH_PREROLL_SECONDS = 1.0  # of sound before speech is announced: its detection takes a third of that
UPSTREAM_COMMANDS_QUEUED_MAX = 512
UPSTREAM_BYTES_QUEUED_MAX = 64 * MIB  # of everything together: four of the largest messages
PASSTHROUGH_UPSTREAM_SECONDS_MAX = 10.0  # of an OpenAI client's audio that waits for the upstream; then it is not read
PASSTHROUGH_UPSTREAM_BYTES_MAX = 4 * MIB
PASSTHROUGH_CHECK_SECONDS = 0.02  # between two checks whether it is read again
SIDECAR_CONNECTIONS_MAX = 5  # of one session
SIDECAR_RETRY_SECONDS = 1.0  # the first pause; doubles each time
SIDECAR_PREROLL_SECONDS_MAX = 6.0  # of audio: the early audio, and what the detection of speech takes
SIDECAR_QUEUED_SECONDS_MAX = 10.0  # of audio to a sidecar that does not read; the oldest is dropped

# Shared state, in memory and in Redis.
RATE_WINDOW_SECONDS = 3600.0  # of MAX_SESSIONS_PER_USER_PER_HOUR
LEASE_SECONDS = 30.0  # a session counts as open so long after a renewal; a killed process frees its leases within this
LEASE_RENEW_SECONDS = 10.0  # two renewals may be lost
INSTANCE_EXPIRY_SECONDS = 30.0  # an instance counts as gone
ANNOUNCE_INTERVAL_SECONDS = 10.0  # two announcements may be lost
USERS_REMEMBERED_MAX = 10_000  # users with a sum of their own, by day; the rest is added up
DAY_TOTALS_REMEMBERED = 2  # days: today, and yesterday for instances that report late
USERS_REPORTED_MAX = 200  # users in one report to Redis; the others are in the next
SPENDING_DAYS_REMEMBERED = 3
EXPECTED_SPEND_SECONDS = 0.1  # between two looks at what responses in progress will cost; a kill leaves that untold
LOST_SESSION_SECONDS = 3.0  # between two looks for sessions of killed instances, which are listed for 20 s
LOST_SPEND_SECONDS = 5.0  # between two looks for killed instances, whose keys live for REDIS_ALIVE_SECONDS
SHARE_RENEW_SECONDS = 1.0  # between two renewals of the shares of budgets; sooner while a share is short
SHARE_RENEW_PAUSE_SECONDS = 0.02  # one call for what comes together
SHARE_KEEP_SECONDS = 5.0  # between two renewals of a user's share of which nothing was used or reserved
SHARE_LEASE_SECONDS = 15.0  # a share is valid after a renewal: two that are kept may be lost
SHARE_AHEAD_SECONDS = 30.0  # before midnight the next day's shares are leased
SHARES_RENEWED_MAX = 200  # shares in one call to Redis
SHARE_DAYS_REMEMBERED = 3
SHARED_PERCENT = 75  # of what others have not leased of a budget: the rest stays for one that begins to need some
OUTPUT_COSTS_REMEMBERED = 101  # responses of a model, for the median cost of its output
SPENDING_REPORT_SECONDS = 5.0  # how often the day's sum is reported and read, at the latest
RECORD_SECONDS = 3600.0  # a session record is stored after its last revision
RECORD_LOOK_SECONDS = 1.5  # between two looks at an open turn: with its write a kill loses less than 2 s of heard sound
RECORD_PAUSE_SECONDS = 0.1  # after each write of a session: at most ten a second, whatever its client does
RECORD_BYTES_MAX = 256 * 1024  # a longer record loses its oldest turns; ten minutes of conversation have about 30 KiB
RECORD_ITEM_CHARACTERS_MAX = 32_000  # of one item in a record: the longest response has about 16,000
RECORDS_MAX = 2_000  # in the memory of one process; the least recently written are evicted
DELETIONS_MAX = 10_000  # users whose last deletion is remembered; the oldest are evicted
DELETION_SECONDS = 2 * RECORD_SECONDS  # a deletion blocks older sessions: longer than a session and its record last
HOLDER_SECONDS = RECORD_SECONDS  # TTL of the name of a session's holder: the session can be resumed for as long
RESUME_STORE_SECONDS_MAX = 2.0  # a resume waits for the shared store: most of its faults are over in 0.5 s
RESUME_STORE_PAUSE_SECONDS = 0.05
TAKE_OVER_SECONDS_MAX = 0.7  # for another instance to end a session: a poll, and the last words in its record
TAKE_OVER_POLL_SECONDS = 0.1
DIRECTORY_INTERVAL_SECONDS = 5.0  # between two reports of an instance's live sessions, for operators
DIRECTORY_PAUSE_SECONDS = 1.0  # the least, when sessions begin and end
DIRECTORY_EXPIRY_SECONDS = 20.0  # of a report: two may be lost
OPERATOR_END_SECONDS_MAX = 3.0  # for another instance to end a session: a poll, its end, and its next report
OPERATOR_POLL_SECONDS = 0.2  # between two looks whether it has
OPERATOR_CHANGES_MAX = 3  # attempts to bar a user while others change the rollout document
DIRECTORY_SESSIONS_MAX = 1_000  # in one report, and in one answer to an operator; about 300 bytes each
ROLLOUT_ENTRIES_MAX = 10_000  # of each list in the rollout document
ROLLOUT_ENTRY_CHARS_MAX = 256
ROLLOUT_MESSAGE_CHARS_MAX = 1_000

# Redis.
REDIS_CALL_SECONDS_MAX = 0.25  # a call, and so an admission; then the connection counts as down
REDIS_REPLY_SECONDS_MAX = 0.2  # one reply: a little less than a call, so that the driver reports the exact fault
REDIS_LATE_SECONDS_MAX = 0.05  # after a call's deadline: this process was late, so Redis may not have been
REDIS_SILENCE_SECONDS_MAX = 0.2  # without any reply a call that timed out means a slow Redis, else a long queue
REDIS_ROUND_TRIP_SECONDS_MAX = 0.05  # of a Redis that is to be used: a call with a new connection takes five of them
REDIS_PROBE_REPLY_SECONDS_MAX = 2.0  # one reply to a check
REDIS_CHECK_SECONDS_MAX = 6.0  # one whole check; health is no older than this and one interval
REDIS_CHECK_INTERVAL_SECONDS = 3.0
REDIS_PROBE_PAUSE_SECONDS = 0.25  # before Redis is tried again; grows by RETRY_BACKOFF_FACTOR
REDIS_PROBE_PAUSE_SECONDS_MAX = 3.0
REDIS_RETRY_PAUSE_SECONDS = 0.01  # before a call over a lost connection is tried again; grows likewise
REDIS_POLL_SECONDS = 0.25  # between two reads of the rollout's version and of other instances' requests
REDIS_REQUESTS_QUEUED_MAX = 1_000
REDIS_REQUEST_SECONDS = 10.0  # TTL of a request to an instance
REDIS_ALIVE_SECONDS = 10  # TTL of an instance's key, written with every poll and check
REDIS_SILENT_SECONDS = 2  # without a poll of another instance: it gets no time to answer a request
REDIS_SPENT_SECONDS = 2 * DAY_SECONDS  # TTL of a day's sums
REDIS_ROLLOUT_SECONDS = 30 * DAY_SECONDS  # TTL of the rollout document; it expires after a month without any instance
REDIS_ROLLOUT_RENEW_SECONDS = 3_600
REDIS_RESTORE_SECONDS = 0.8  # in a Redis that lost its data: three polls, so that every instance has written its own
REDIS_RECORDS_SECONDS = 2.0  # after its return for the records that others write back: after the decisions, one by one
REDIS_SHORT_OUTAGE_SECONDS = 10.0  # of which a resume may await the end; later its client begins anew
REDIS_RESTORE_SECONDS_MAX = 2.0  # a call waits so long for that, and for a Redis that restarted
REDIS_THREADS_MAX = 8  # for calls
REDIS_SUPERVISOR_THREADS_MAX = 2
REDIS_RELEASES_PENDING_MAX = 20_000  # the oldest are evicted: at worst a slot stays taken for an hour
REDIS_REPLAY_BATCH = 100  # users whose holdings are written in one step

# Knowledge.
SEARCH_SECONDS_MAX = 2.0  # the default of RAG_SEARCH_TIMEOUT_MS
TITLES_SECONDS_MAX = 1.0  # for the titles on an empty console page; without them it is complete, too
TITLES_MAX = 12  # of documents on that page: as many as fit under a headline
SEARCHES_UNDER_WAY_MAX = 64  # of one process; further ones fail
SEARCHES_CACHED_MAX = 1_024  # results by query; the least recently used are evicted
SEARCH_CACHE_SECONDS_MAX = 60.0  # age of a cached result
BREAKER_FAILURES_MAX = 3  # in a row; then no search reaches the store
BREAKER_OPEN_SECONDS = 30.0  # until one search probes the store
SEARCH_QUEUED_SECONDS_LOGGED = 0.05  # a search that waited longer for a thread is logged
WEAVIATE_THREADS_MAX = 32
WEAVIATE_CALL_SECONDS_MAX = 30.0  # one call of an import
WEAVIATE_INSERT_SECONDS_MAX = 60  # one batch of an import, which may wait for a vectoriser
WEAVIATE_IMPORT_BATCH = 100  # passages in one insert
PASSAGES_CACHED_MAX = 2_000  # passages of a remote store on this machine
PASSAGE_SECONDS_MAX = 3_600.0  # age of a cached passage without a confirmation by the store, in memory
PASSAGE_FILE_SECONDS_MAX = 3 * DAY_SECONDS  # the same in a file: longer than a weekend without the store
PASSAGE_ORPHAN_SECONDS = 3 * DAY_SECONDS  # the cache file of an unused API key is deleted
PASSAGE_CLOCK_SECONDS = 60.0  # by how much the clocks of processes may differ
PASSAGE_LOCK_SECONDS_MAX = 0.25  # the write of another process takes some milliseconds
REVALIDATE_SECONDS = 600.0  # a cached passage is used without another look-up while the store answers
REVALIDATE_ROUND_SECONDS = 60.0  # between two rounds of look-ups
REVALIDATE_BATCH = 100  # passages in one look-up
LOOK_UP_SECONDS_MAX = 5.0  # for one look-up
SQLITE_READERS_MAX = 4  # threads and connections for searches
SQLITE_READ_WAIT_SECONDS_MAX = 2.0  # for a lock
SQLITE_WRITE_WAIT_SECONDS_MAX = 30.0  # for another import
LEARN_WORDS_AFTER_SECONDS = 2.0  # without a change of the base: an import commits each document, and has ended by then

# Reading documents, each in a process of its own (`knowledge import`). A file beyond a bound is named, and the import
# continues.
DOCUMENT_SILENCE_SECONDS_MAX = 30.0  # without a chunk or a sign of progress; the slowest sound pages take a few seconds
DOCUMENT_PAGE_SECONDS_MAX = 10.0  # for one page of a PDF file; a page of drawings only takes about a second
DOCUMENT_CPU_SECONDS_MAX = 120  # of computing for one file ...
DOCUMENT_CPU_SECONDS_PER_MB = 1.0  # ... and so much more for each MB of it; text takes a tenth of that
DOCUMENT_MEMORY_BYTES_MAX = 1024 * MIB  # address space; the largest web pages and Markdown that are read take half
DOCUMENT_TEXT_BYTES_MAX = 64 * MIB  # of chunks from one file, more than any book ...
DOCUMENT_TEXT_BYTES_PER_BYTE = 4  # ... and so many for each byte of it: overlaps, titles and names of columns repeat
DOCUMENT_END_SECONDS_MAX = 2.0  # for a process that was told to end, or is killed

# Observability.
LOG_DETAIL_CHARS_MAX = 200  # of a sentence in a log line: it fits a screen
LOG_TEXT_CHARS_MAX = 1_000  # of every other text in a log line: what others send may be of any length
LOG_TRACEBACK_CHARS_MAX = 16_000  # of a traceback, whose end says most
HEALTH_FRESH_SECONDS = 5.0  # a result of a health check is used again
RECENT_USES_MAX = 200  # of one kind, whose failures within the last minute decide about health
HEALTH_SECONDS_MAX = 2.0  # for one health check
LAG_SAMPLE_SECONDS = 0.05  # between two samples of the event loop's lag
LAG_SAMPLES = 100  # 5 s: long enough for a P95, short enough to close the door before a rush is over
LAG_NEWCOMERS_MS_MAX = 20.0  # P95, the default of MAX_LOOP_LAG_MS; at two thirds of a core 5 ms, at 92 % above 40 ms
RELIEF_SECONDS_MAX = 8.0  # newcomers wait so long for an overload to pass: a rush, and the 5 s of its samples
NEWCOMERS_PER_SAMPLE = 5  # of those who waited are admitted between two samples, so that they are no new rush
LAG_SECONDS_MAX = 0.1  # P50: every second step is late by that; then the process is overloaded for resumes too
UNSENT_SECONDS_MAX = 0.25  # a frame that waits longer for the client to read is late: half of what a client buffers
UNSENT_SHARE_MAX = 0.25  # of the sessions; so many at once have a common cause on our side
OVERLOAD_RELIEF = 0.5  # newcomers are admitted again at this share of the bound that was exceeded
OVERLOAD_SESSIONS_MIN = 10  # fewer sessions are a quarter of a core at most: their number is not the cause of a lag
GAUGE_SECONDS_MAX = 1.0  # age of another worker's gauge
LOG_BYTES_QUEUED_MAX = 4 * MIB  # that a stalled reader of the log may leave unwritten: about 10,000 lines
LOG_WRITE_BYTES = 64 * 1024  # in one write: as much as a pipe holds
LOG_FLUSH_SECONDS_MAX = 1.0  # for the queue, at the end of a process
LOG_REPEATS_MAX = 30  # lines of one kind within a minute
LOG_KINDS_MAX = 10_000  # kinds whose lines are counted; the oldest are evicted
SENTRY_EVENTS_PER_MINUTE = 60  # an unavailable service repeats the same error; further ones are only logged
SENTRY_TEST_SECONDS_MAX = 10.0  # for the test event of `voice-trio check`
SDK_WARNING_SECONDS = 60.0  # between two warnings of the tracing SDK, which warns at every batch
WEBHOOK_PAUSES_SECONDS = (1.0, 5.0, 25.0)  # before the second and each later attempt
WEBHOOK_ATTEMPT_SECONDS_MAX = 10.0
WEBHOOK_QUEUED_MAX = 1_000  # records; a full queue drops further ones
WEBHOOK_SENDERS = 4  # records under way at once
