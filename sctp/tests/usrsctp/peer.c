// usrsctp over UDP on the loopback interface, one SCTP packet in each datagram: what stands in DTLS otherwise.
//
//     peer OUR_PORT [PORT]     sends to 127.0.0.1:OUR_PORT, and prints `port N`: where it listens
//
// It does what the lines of its input say:
//
//     listen | connect
//     send STREAM PPID ordered|unordered reliable|rtx|ttl LIMIT LENGTH SEED     a message with the bytes that grow from SEED
//     reset out|in FIRST COUNT                                                  streams FIRST .. FIRST + COUNT
//     reset-all | add COUNT                                                     TSNs and all streams; streams to those that it has
//     pause | resume                                                            takes no messages, from the next one on
//     shutdown | abort
//
// and prints what happens: `listening`, `up IN OUT`, `restarted`, `lost ERROR`, `ended`, `shutting`, `failed STREAM`,
// `reset in|out|denied STREAM...`, `reset-all FLAGS`, `add FLAGS`, `message STREAM PPID ordered|unordered LENGTH HASH`, `error WHAT`.
// It ends with its input.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <usrsctp.h>

enum { SCTP_PORT = 5000, STREAMS = 2048, BUFFER = 4 << 20 };

static int udp;
static struct socket *sctp;
static struct sockaddr_conn sctp_address;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t resumed = PTHREAD_COND_INITIALIZER;
static int is_paused;

static void pause_or_resume(int pause) {
    pthread_mutex_lock(&lock);
    is_paused = pause;
    pthread_cond_signal(&resumed);
    pthread_mutex_unlock(&lock);
}

static void wait_while_paused(void) {
    pthread_mutex_lock(&lock);
    while (is_paused)
        pthread_cond_wait(&resumed, &lock);
    pthread_mutex_unlock(&lock);
}

static void fail(const char *what) {
    printf("error %s: %s\n", what, strerror(errno));
}

static int output(void *address, void *packet, size_t len, uint8_t tos, uint8_t set_df) {
    (void)address, (void)tos, (void)set_df;
    // A full socket is as good as a lost packet.
    send(udp, packet, len, 0);
    return 0;
}

static void *take_packets(void *unused) {
    static char packet[65536];
    for (;;) {
        ssize_t len = recv(udp, packet, sizeof packet, 0);
        if (len > 0)
            usrsctp_conninput(&udp, packet, len, 0);
    }
    return unused;
}

// The bytes of a message: a linear congruential generator's upper ones.
static void grow(unsigned char *bytes, size_t len, uint64_t state) {
    for (size_t i = 0; i < len; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        bytes[i] = state >> 56;
    }
}

// FNV-1a.
static uint64_t hash(const unsigned char *bytes, size_t len) {
    uint64_t state = 0xcbf29ce484222325u;
    for (size_t i = 0; i < len; i++)
        state = (state ^ bytes[i]) * 0x100000001b3u;
    return state;
}

static void print_change(const struct sctp_assoc_change *change) {
    switch (change->sac_state) {
    case SCTP_COMM_UP:
        printf("up %u %u\n", change->sac_inbound_streams, change->sac_outbound_streams);
        break;
    case SCTP_RESTART:
        printf("restarted\n");
        break;
    case SCTP_COMM_LOST:
    case SCTP_CANT_STR_ASSOC:
        printf("lost %u\n", change->sac_error);
        break;
    case SCTP_SHUTDOWN_COMP:
        printf("ended\n");
        break;
    }
}

static void print_reset(const struct sctp_stream_reset_event *event) {
    int flags = event->strreset_flags;
    int count = (event->strreset_length - sizeof *event) / sizeof event->strreset_stream_list[0];
    int is_bad = flags & (SCTP_STREAM_RESET_DENIED | SCTP_STREAM_RESET_FAILED);
    flockfile(stdout);
    printf("reset %s", is_bad ? "denied" : flags & SCTP_STREAM_RESET_INCOMING_SSN ? "in" : "out");
    for (int i = 0; i < count; i++)
        printf(" %u", event->strreset_stream_list[i]);
    printf("\n");
    funlockfile(stdout);
}

static void *take_messages(void *unused) {
    static unsigned char bytes[2 * BUFFER];
    size_t have = 0;
    for (;;) {
        wait_while_paused();
        struct sctp_rcvinfo info;
        struct sockaddr_conn from;
        socklen_t info_len = sizeof info, from_len = sizeof from;
        unsigned info_type = 0;
        int flags = 0;
        ssize_t len = usrsctp_recvv(sctp, bytes + have, sizeof bytes - have, (struct sockaddr *)&from, &from_len, &info,
                                    &info_len, &info_type, &flags);
        if (len <= 0) {
            printf("closed\n");
            return unused;
        }
        if (flags & MSG_NOTIFICATION) {
            const union sctp_notification *news = (void *)(bytes + have);
            switch (news->sn_header.sn_type) {
            case SCTP_ASSOC_CHANGE:
                print_change(&news->sn_assoc_change);
                break;
            case SCTP_SHUTDOWN_EVENT:
                printf("shutting\n");
                break;
            case SCTP_STREAM_RESET_EVENT:
                print_reset(&news->sn_strreset_event);
                break;
            case SCTP_ASSOC_RESET_EVENT:
                printf("reset-all %u\n", news->sn_assocreset_event.assocreset_flags);
                break;
            case SCTP_STREAM_CHANGE_EVENT:
                printf("add %u\n", news->sn_strchange_event.strchange_flags);
                break;
            case SCTP_SEND_FAILED_EVENT:
                printf("failed %u\n", news->sn_send_failed_event.ssfe_info.snd_sid);
                break;
            case SCTP_PARTIAL_DELIVERY_EVENT:
                printf("cut %u\n", news->sn_pdapi_event.pdapi_stream);
                have = 0;
                break;
            }
            continue;
        }
        have += len;
        if (!(flags & MSG_EOR))
            continue;
        printf("message %u %u %s %zu %016llx\n", info.rcv_sid, ntohl(info.rcv_ppid),
               info.rcv_flags & SCTP_UNORDERED ? "unordered" : "ordered", have, (unsigned long long)hash(bytes, have));
        have = 0;
    }
}

static void set(int level, int name, const void *value, socklen_t len) {
    if (usrsctp_setsockopt(sctp, level, name, value, len))
        fail("setsockopt");
}

static void open_socket(void) {
    sctp = usrsctp_socket(AF_CONN, SOCK_STREAM, IPPROTO_SCTP, NULL, NULL, 0, NULL);
    const int events[] = {SCTP_ASSOC_CHANGE,      SCTP_SHUTDOWN_EVENT,      SCTP_STREAM_RESET_EVENT,    SCTP_ASSOC_RESET_EVENT,
                          SCTP_SEND_FAILED_EVENT, SCTP_STREAM_CHANGE_EVENT, SCTP_PARTIAL_DELIVERY_EVENT};
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        struct sctp_event event = {.se_assoc_id = SCTP_ALL_ASSOC, .se_type = events[i], .se_on = 1};
        set(IPPROTO_SCTP, SCTP_EVENT, &event, sizeof event);
    }
    const struct sctp_assoc_value resets = {SCTP_ALL_ASSOC, SCTP_ENABLE_VALUE_MASK};
    set(IPPROTO_SCTP, SCTP_ENABLE_STREAM_RESET, &resets, sizeof resets);
    const struct sctp_initmsg init = {.sinit_num_ostreams = STREAMS, .sinit_max_instreams = STREAMS};
    set(IPPROTO_SCTP, SCTP_INITMSG, &init, sizeof init);
    const int on = 1, buffer = BUFFER;
    set(IPPROTO_SCTP, SCTP_RECVRCVINFO, &on, sizeof on);
    set(IPPROTO_SCTP, SCTP_NODELAY, &on, sizeof on);
    set(SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    set(SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    // Packets as large as those that DTLS leaves room for, and heartbeats three times a second.
    const struct sctp_paddrparams path = {
        .spp_address.ss_family = AF_CONN,
        .spp_hbinterval = 300,
        .spp_pathmtu = 1160,
        .spp_flags = SPP_PMTUD_DISABLE | SPP_HB_ENABLE,
    };
    set(IPPROTO_SCTP, SCTP_PEER_ADDR_PARAMS, &path, sizeof path);
    if (usrsctp_bind(sctp, (struct sockaddr *)&sctp_address, sizeof sctp_address))
        fail("bind");
}

static void begin_to_take_messages(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, take_messages, NULL);
}

static void listen_and_accept(void) {
    if (usrsctp_listen(sctp, 1))
        fail("listen");
    printf("listening\n");
    struct socket *accepted = usrsctp_accept(sctp, NULL, NULL);
    if (!accepted) {
        fail("accept");
        return;
    }
    sctp = accepted;
    begin_to_take_messages();
}

static void connect_to(void) {
    if (usrsctp_connect(sctp, (struct sockaddr *)&sctp_address, sizeof sctp_address))
        fail("connect");
    else
        begin_to_take_messages();
}

static void send_message(const char *arguments) {
    unsigned stream, ppid, limit;
    size_t len;
    unsigned long long seed;
    char order[16], policy[16];
    if (sscanf(arguments, "%u %u %15s %15s %u %zu %llu", &stream, &ppid, order, policy, &limit, &len, &seed) != 7) {
        fail(arguments);
        return;
    }
    unsigned char *bytes = malloc(len);
    grow(bytes, len, seed);
    struct sctp_sendv_spa how = {.sendv_flags = SCTP_SEND_SNDINFO_VALID | SCTP_SEND_PRINFO_VALID};
    how.sendv_sndinfo.snd_sid = stream;
    how.sendv_sndinfo.snd_ppid = htonl(ppid);
    how.sendv_sndinfo.snd_flags = strcmp(order, "unordered") ? 0 : SCTP_UNORDERED;
    how.sendv_prinfo.pr_policy = !strcmp(policy, "rtx")   ? SCTP_PR_SCTP_RTX
                                 : !strcmp(policy, "ttl") ? SCTP_PR_SCTP_TTL
                                                          : SCTP_PR_SCTP_NONE;
    how.sendv_prinfo.pr_value = limit;
    if (usrsctp_sendv(sctp, bytes, len, NULL, 0, &how, sizeof how, SCTP_SENDV_SPA, 0) < 0)
        fail("send");
    free(bytes);
}

static void reset(const char *arguments) {
    char way[8];
    unsigned first, count;
    if (sscanf(arguments, "%7s %u %u", way, &first, &count) != 3) {
        fail(arguments);
        return;
    }
    size_t len = sizeof(struct sctp_reset_streams) + count * sizeof(uint16_t);
    struct sctp_reset_streams *streams = calloc(1, len);
    streams->srs_assoc_id = SCTP_ALL_ASSOC;
    streams->srs_flags = strcmp(way, "in") ? SCTP_STREAM_RESET_OUTGOING : SCTP_STREAM_RESET_INCOMING;
    streams->srs_number_streams = count;
    for (unsigned i = 0; i < count; i++)
        streams->srs_stream_list[i] = first + i;
    set(IPPROTO_SCTP, SCTP_RESET_STREAMS, streams, len);
    free(streams);
}

static void add_streams(const char *count) {
    const struct sctp_add_streams streams = {.sas_assoc_id = SCTP_ALL_ASSOC, .sas_outstrms = atoi(count)};
    set(IPPROTO_SCTP, SCTP_ADD_STREAMS, &streams, sizeof streams);
}

static void reset_all(void) {
    const sctp_assoc_t which = SCTP_ALL_ASSOC;
    set(IPPROTO_SCTP, SCTP_RESET_ASSOC, &which, sizeof which);
}

static void abort_association(void) {
    struct sctp_sendv_spa how = {.sendv_flags = SCTP_SEND_SNDINFO_VALID};
    how.sendv_sndinfo.snd_flags = SCTP_ABORT;
    if (usrsctp_sendv(sctp, "enough", 6, NULL, 0, &how, sizeof how, SCTP_SENDV_SPA, 0) < 0)
        fail("abort");
}

static void obey(char *line) {
    char *arguments = strchr(line, ' ');
    if (arguments)
        *arguments++ = 0;
    if (!strcmp(line, "listen"))
        listen_and_accept();
    else if (!strcmp(line, "connect"))
        connect_to();
    else if (!strcmp(line, "send"))
        send_message(arguments);
    else if (!strcmp(line, "reset"))
        reset(arguments);
    else if (!strcmp(line, "reset-all"))
        reset_all();
    else if (!strcmp(line, "add"))
        add_streams(arguments);
    else if (!strcmp(line, "pause") || !strcmp(line, "resume"))
        pause_or_resume(!strcmp(line, "pause"));
    else if (!strcmp(line, "shutdown"))
        usrsctp_shutdown(sctp, SHUT_WR);
    else if (!strcmp(line, "abort"))
        abort_association();
    else
        fail(line);
}

static struct sockaddr_in loopback(const char *port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port ? atoi(port) : 0), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

int main(int count, char **arguments) {
    if (count < 2)
        return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    udp = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in local = loopback(arguments[2]), remote = loopback(arguments[1]);
    socklen_t len = sizeof local;
    if (bind(udp, (struct sockaddr *)&local, len) || connect(udp, (struct sockaddr *)&remote, len) ||
        getsockname(udp, (struct sockaddr *)&local, &len)) {
        fail("udp");
        return 1;
    }
    printf("port %u\n", ntohs(local.sin_port));

    usrsctp_init(0, output, NULL);
    usrsctp_sysctl_set_sctp_ecn_enable(0);
    // It says why it aborts.
    usrsctp_sysctl_set_sctp_diag_info_code(13);
    usrsctp_sysctl_set_sctp_delayed_sack_time_default(20);
    // Its time-outs stay as long as they were until it measures again, so that a bad link would keep the tests waiting for minutes.
    usrsctp_sysctl_set_sctp_rto_min_default(50);
    usrsctp_sysctl_set_sctp_rto_initial_default(200);
    usrsctp_sysctl_set_sctp_init_rto_max_default(200);
    usrsctp_sysctl_set_sctp_rto_max_default(200);
    usrsctp_sysctl_set_sctp_init_rtx_max_default(50);
    usrsctp_sysctl_set_sctp_assoc_rtx_max_default(50);
    usrsctp_sysctl_set_sctp_path_rtx_max_default(50);
    // Five times the longest time-out otherwise.
    usrsctp_sysctl_set_sctp_shutdown_guard_time_default(60);
    usrsctp_register_address(&udp);
    sctp_address = (struct sockaddr_conn){.sconn_family = AF_CONN, .sconn_port = htons(SCTP_PORT), .sconn_addr = &udp};
    open_socket();
    pthread_t thread;
    pthread_create(&thread, NULL, take_packets, NULL);

    static char line[256];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        obey(line);
    }
    _exit(0);
}
