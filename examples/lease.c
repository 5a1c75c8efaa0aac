/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lease POOL [SOCKET]
 *
 * Leases a function of a pool of vfbrokerd, prints the descriptors that came with it, holds it
 * until it is asked for or lost, and gives it back. A VMM would bind the cdev to the iommufd
 * context (or use the device and its container) where this program waits.
 *
 *     cc lease.c $(pkg-config --cflags --libs vfbroker) -o lease
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <vfbroker/vfbroker.h>

/* The exit status for a failure, which it prints and frees. */
static int failed(vfb_code code, vfb_error* error) {
    if (error == NULL) {
        fprintf(stderr, "lease: failed with code %d\n", (int)code);
        return 1;
    }
    fprintf(stderr, "lease: %s\n", vfb_error_message(error));
    if (*vfb_error_hint(error) != '\0') fprintf(stderr, "hint: %s\n", vfb_error_hint(error));
    vfb_error_free(error);
    return 1;
}

static void print_lease(const vfb_lease_handle* lease) {
    printf("lease %" PRIu64 "\n", vfb_lease_id(lease));
    for (size_t i = 0; i < vfb_lease_descriptors(lease); ++i) {
        vfb_role role;
        const char* address;
        const int fd = vfb_lease_descriptor(lease, i, &role, &address);
        printf("descriptor %d: %s%s%s\n", fd, vfb_role_name(role), address != NULL ? " of " : "",
               address != NULL ? address : "");
    }
    fflush(stdout);
}

/* Whether the lease is to be released now; `*ended` when there is nothing left to release. */
static bool print_event(const vfb_event* event, bool* ended) {
    switch (vfb_event_type(event)) {
        case VFB_LEASE_LOST:
            printf("lost %s\n", vfb_event_address(event));
            return true;
        case VFB_LEASE_WANTED:
            printf("wanted: %s\n", vfb_event_reason(event));
            return true;
        case VFB_LEASE_ENDED:
            printf("ended: %s\n", vfb_event_reason(event));
            *ended = true;
            return true;
        case VFB_LEASE_UNWANTED:
            break;
    }
    return false; /* nothing to do, or of a newer library */
}

/* Waits until the lease is to be released. */
static vfb_code hold(vfb_connection* connection, bool* ended, vfb_error** error) {
    for (;;) {
        struct pollfd wait = {.fd = vfb_poll_fd(connection), .events = POLLIN};
        if (poll(&wait, 1, -1) < 0 && errno != EINTR) return VFB_FAILED;
        const vfb_code code = vfb_dispatch(connection, error);
        bool done = false;
        for (vfb_event* event; (event = vfb_next_event(connection)) != NULL; vfb_event_free(event))
            done |= print_event(event, ended);
        fflush(stdout);
        if (code != VFB_OK || done) return code;
    }
}

static int lease_and_hold(vfb_connection* connection, const char* pool) {
    vfb_error* error = NULL;
    vfb_lease_options options = VFB_LEASE_OPTIONS_INIT;
    options.guest = "example";
    vfb_lease_handle* lease = NULL;
    vfb_code code = vfb_lease(connection, pool, &options, &lease, &error);
    if (code != VFB_OK) return failed(code, error);
    print_lease(lease);

    bool ended = false;
    code = vfb_watch(connection, vfb_lease_id(lease), vfb_lease_generation(lease), &error);
    if (code == VFB_OK) code = hold(connection, &ended, &error);
    /* Closes the descriptors, which the kernel may wait for, and ends the lease. */
    if (code == VFB_OK && !ended) {
        code = vfb_release(connection, lease, &error);
        if (code == VFB_OK) {
            puts("released");
            return 0;
        }
    }
    vfb_lease_free(lease);
    return code == VFB_OK ? 0 : failed(code, error);
}

int main(int argc, char** argv) {
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "Usage: %s POOL [SOCKET]\n", argv[0]);
        return 2;
    }
    vfb_error* error = NULL;
    vfb_connection* connection = NULL;
    const vfb_code code = vfb_connect(argc > 2 ? argv[2] : NULL, &connection, &error);
    if (code != VFB_OK) return failed(code, error);
    const int status = lease_and_hold(connection, argv[1]);
    vfb_close(connection);
    return status;
}
