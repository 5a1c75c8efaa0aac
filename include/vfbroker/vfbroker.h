/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvfbroker: lease PCI functions from vfbrokerd and get the open VFIO descriptors that drive
 * them.
 *
 * The functions are those of Linux VFIO (Documentation/driver-api/vfio.rst); the descriptors are of
 * <linux/iommufd.h> or <linux/vfio.h>, by the lease's backend.
 *
 * Results    Every function that can fail returns VFB_OK (0) or another vfb_code, and when its
 *            `error` is not NULL stores there an object to be freed by vfb_error_free(), or NULL
 *            on success and when there is no memory for one (VFB_EXHAUSTED).
 * Ownership  Handles are freed by the function named at each. Text returned by accessors belongs to
 *            the handle and lives as long. Descriptors belong to the lease's handle until
 *            vfb_lease_take_fd() hands them to the caller; all are close-on-exec.
 * Threads    Different connections may be used by different threads at the same time; a connection
 *            and its leases, events and errors by one thread at a time. No thread is started.
 * Blocking   Calls that say so wait until vfbrokerd has answered. For event loops there is
 *            vfb_lease_start() in place of vfb_lease(): see `event loops` below.
 * Processes  A lease belongs to the connection, the calling process or a named guest
 *            (vfb_owner); it ends with its owner or by vfb_release(). It becomes the process's or
 *            the guest's when it has arrived here; until then it ends with the connection, so that
 *            none is held whose handle nobody got. Of a guest without a name that cannot be
 *            promised.
 */
#ifndef VFBROKER_VFBROKER_H
#define VFBROKER_VFBROKER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VFB_API __attribute__((visibility("default")))

/* Stable values; a newer library may add some. */
typedef enum vfb_code {
    VFB_OK = 0,
    VFB_FAILED = 1,      /* the kernel or the device said no, and no other code says it better */
    VFB_INVALID = 2,     /* the request is malformed */
    VFB_DENIED = 3,      /* the caller may not do this */
    VFB_NOT_FOUND = 4,   /* no such function, pool or lease */
    VFB_BUSY = 5,        /* in use or leased; may succeed later */
    VFB_TIMEOUT = 6,     /* a deadline passed while waiting */
    VFB_NOT_RUNNING = 7, /* vfbrokerd cannot be reached */
    VFB_UNSUPPORTED = 8, /* this kernel, driver or device cannot do it */
    VFB_NOT_VIABLE = 9,  /* the IOMMU cannot isolate the function */
    VFB_EXHAUSTED = 10,  /* fewer functions, memory or descriptors than asked for */
    VFB_LOST = 11,       /* the device or the daemon went away */
    VFB_STUCK = 12,      /* a kernel call on the device has not come back */
    VFB_PROTOCOL = 13,   /* the answer of vfbrokerd is unusable */
    VFB_PENDING = 14     /* no failure: what was started is not done yet */
} vfb_code;

typedef struct vfb_error vfb_error;
typedef struct vfb_connection vfb_connection;
typedef struct vfb_lease_handle vfb_lease_handle;
typedef struct vfb_event vfb_event;

/* Version of the library, as `0.1.0`; static. */
VFB_API const char* vfb_version(void);

/* ---- errors ---------------------------------------------------------------------------------- */

VFB_API vfb_code vfb_error_code(const vfb_error* error);
/* One line: what failed, on which device, why. */
VFB_API const char* vfb_error_message(const vfb_error* error);
/* What to do next; "" when there is nothing to say. */
VFB_API const char* vfb_error_hint(const vfb_error* error);
/* NULL is allowed. */
VFB_API void vfb_error_free(vfb_error* error);

/* ---- connection ------------------------------------------------------------------------------ */

/* Connects to vfbrokerd; `path` NULL means its usual socket. Free with vfb_close(). */
VFB_API vfb_code vfb_connect(const char* path, vfb_connection** connection, vfb_error** error);
/* Ends the connection, and with it the leases it owns (VFB_OWNER_CONNECTION) and one that
 * vfb_lease_result() was not asked for, whoever's it was to be: for that it may wait, a second at
 * most. NULL is allowed. Handles of its leases stay valid; their descriptors stay open until they
 * are freed. */
VFB_API void vfb_close(vfb_connection* connection);
/* The socket, to poll(2) for POLLHUP: vfbrokerd is gone. Event loops want vfb_poll_fd(). Owned by
 * the connection. */
VFB_API int vfb_fd(const vfb_connection* connection);

/* ---- leases ---------------------------------------------------------------------------------- */

typedef enum vfb_backend {
    VFB_BACKEND_ANY = 0,     /* the pool's, or the best that this kernel has */
    VFB_BACKEND_IOMMUFD = 1, /* device cdev and an iommufd context */
    VFB_BACKEND_GROUP = 2    /* container, group and device */
} vfb_backend;

typedef enum vfb_owner {
    VFB_OWNER_CONNECTION = 0, /* ends when the connection closes */
    VFB_OWNER_PROCESS = 1,    /* ends when this process ends, whatever it executes till then */
    VFB_OWNER_GUEST = 2       /* stays until it is released, whoever asked for it */
} vfb_owner;

typedef enum vfb_hand_off {
    VFB_HAND_OFF_DESCRIPTORS = 0, /* open descriptors come with the lease */
    VFB_HAND_OFF_NODE = 1,        /* the device nodes are lent to the caller's uid */
    VFB_HAND_OFF_NETDEV = 2, /* bound to its kernel driver, with a network interface; root only */
    VFB_HAND_OFF_NONE = 3    /* nothing is opened or lent: the user has access to the nodes */
} vfb_hand_off;

typedef enum vfb_switch { VFB_UNSET = 0, VFB_OFF = 1, VFB_ON = 2 } vfb_switch;

/* What may be said of a lease. Start from VFB_LEASE_OPTIONS_INIT, which says nothing: then the pool
 * decides. Text may be freed when vfb_lease() has returned. */
typedef struct vfb_lease_options {
    size_t size;    /* sizeof(vfb_lease_options) of the caller; later versions add members */
    uint32_t count; /* functions; 0 means 1 */
    vfb_backend backend;
    vfb_owner owner;
    vfb_hand_off hand_off;
    uint32_t wait_seconds;     /* how long to wait for free functions; 0: not at all */
    uint64_t memory_lock;      /* RLIMIT_MEMLOCK of this process, in bytes; 0: the pool's bound */
    const char* guest;         /* name of what the lease serves, for people; NULL: none */
    const char* mac;           /* `02:00:00:00:00:01`, only with count 1; NULL: unset */
    const char* link_state;    /* `auto`, `enable` or `disable`; NULL: unset */
    const char* vlan_protocol; /* `802.1Q` or `802.1ad`; NULL: unset */
    int32_t vlan;              /* 1 to 4094; 0: none; -1: unset */
    int32_t qos;               /* 0 to 7; -1: unset */
    int64_t min_tx_rate;       /* Mbit/s; 0: no bound; -1: unset */
    int64_t max_tx_rate;       /* Mbit/s; 0: no bound; -1: unset */
    vfb_switch spoof_check;
    vfb_switch trust;
    vfb_switch rss_query;  /* the guest may ask for the RSS key and table */
    const char* node_guid; /* `02:00:00:00:00:00:00:01`, only with count 1; NULL: unset */
    const char* port_guid; /* the same */
    /* Addresses like `0000:01:10.0` and a NULL at the end: these functions of the pool, and `count`
     * is 0 or their number. NULL: any. */
    const char* const* functions;
    /* Process that will use the lease, if it is not this one, as of pidfd_open(2):
     * VFB_OWNER_PROCESS and memory_lock mean that one, and nodes are lent to its user. Others'
     * processes may be named by root only. Stays the caller's. -1: this process. */
    int32_t pidfd;
    vfb_switch as_tenant; /* VFB_ON: the pool's limits of attributes hold for root as well */
} vfb_lease_options;

#define VFB_LEASE_OPTIONS_INIT  \
    {sizeof(vfb_lease_options), \
     0,                         \
     VFB_BACKEND_ANY,           \
     VFB_OWNER_CONNECTION,      \
     VFB_HAND_OFF_DESCRIPTORS,  \
     0,                         \
     0,                         \
     NULL,                      \
     NULL,                      \
     NULL,                      \
     NULL,                      \
     -1,                        \
     -1,                        \
     -1,                        \
     -1,                        \
     VFB_UNSET,                 \
     VFB_UNSET,                 \
     VFB_UNSET,                 \
     NULL,                      \
     NULL,                      \
     NULL,                      \
     -1,                        \
     VFB_UNSET}

/* Leases functions of `pool`; `options` NULL is VFB_LEASE_OPTIONS_INIT. Free the handle with
 * vfb_lease_free() or vfb_release(). VFB_BUSY: too few functions are free now; VFB_EXHAUSTED: the
 * pool has no more. Blocks, up to wait_seconds and what the kernel takes to open a device. */
VFB_API vfb_code vfb_lease(vfb_connection* connection, const char* pool,
                           const vfb_lease_options* options, vfb_lease_handle** lease,
                           vfb_error** error);

VFB_API uint64_t vfb_lease_id(const vfb_lease_handle* lease);
/* Tells this lease from a later one of the same functions. */
VFB_API uint64_t vfb_lease_generation(const vfb_lease_handle* lease);
/* What it got: VFB_BACKEND_IOMMUFD or VFB_BACKEND_GROUP. */
VFB_API vfb_backend vfb_lease_backend(const vfb_lease_handle* lease);
/* Number of functions, at least 1. */
VFB_API size_t vfb_lease_count(const vfb_lease_handle* lease);
/* Address of a function, as `0000:01:10.0`; NULL when `index` is not below the count. */
VFB_API const char* vfb_lease_address(const vfb_lease_handle* lease, size_t index);
/* Device node that was lent, with VFB_HAND_OFF_NODE; else NULL. */
VFB_API const char* vfb_lease_node(const vfb_lease_handle* lease, size_t index);
/* Network interface, by its name as the lease began, with VFB_HAND_OFF_NETDEV; else NULL. */
VFB_API const char* vfb_lease_netdev(const vfb_lease_handle* lease, size_t index);

/* Descriptors by what they are, numbered from 0 in each role. */
typedef enum vfb_role {
    VFB_ROLE_IOMMUFD = 0,   /* iommufd: the context, one a lease */
    VFB_ROLE_CDEV = 1,      /* iommufd: the unbound cdev of each function, in the lease's order */
    VFB_ROLE_CONTAINER = 2, /* group: the container with its groups and IOMMU set, one a lease */
    VFB_ROLE_GROUP = 3,     /* group: the IOMMU groups */
    VFB_ROLE_DEVICE = 4     /* group: the device of each function, in the lease's order */
} vfb_role;

/* How many descriptors of that role the handle has; those that were taken do not count, but keep
 * their numbers. */
VFB_API size_t vfb_lease_fds(const vfb_lease_handle* lease, vfb_role role);
/* A descriptor, owned by the handle; -1 when there is none or it was taken. */
VFB_API int vfb_lease_fd(const vfb_lease_handle* lease, vfb_role role, size_t index);
/* The same, owned by the caller from now on, who closes it. */
VFB_API int vfb_lease_take_fd(vfb_lease_handle* lease, vfb_role role, size_t index);

/* `iommufd`, `cdev`, `container`, `group` or `device`; NULL when it is no role; static. */
VFB_API const char* vfb_role_name(vfb_role role);
/* All descriptors at once: how many came with the lease, whatever became of them, and the one of
 * that number (from 0), owned by the handle; -1 when there is none or it was taken. `*role` is its
 * role, `*address` the function that it is of, or NULL for one that serves the whole lease; either
 * pointer may be NULL. */
VFB_API size_t vfb_lease_descriptors(const vfb_lease_handle* lease);
VFB_API int vfb_lease_descriptor(const vfb_lease_handle* lease, size_t number, vfb_role* role,
                                 const char** address);

/* Gives the lease to the process of `pidfd` (see pidfd_open(2); stays the caller's), or when that
 * is -1 to the one that the lease is for. From now on it ends with that process, whatever becomes
 * of its owner until now. Others' processes may be named by root only. Blocks. */
VFB_API vfb_code vfb_lease_transfer(vfb_connection* connection, const vfb_lease_handle* lease,
                                    int pidfd, vfb_error** error);
/* Gives a lease of this connection (VFB_OWNER_CONNECTION) to its guest, with the name that
 * vfb_lease_options gave or none: from now on it stays until it is released. Blocks. */
VFB_API vfb_code vfb_lease_keep(vfb_connection* connection, const vfb_lease_handle* lease,
                                vfb_error** error);

/* Closes the descriptors that are still the handle's and frees it. The lease goes on until its
 * owner ends or it is released by its id. NULL is allowed. */
VFB_API void vfb_lease_free(vfb_lease_handle* lease);

/* Closes the descriptors that are still the handle's, ends the lease and frees the handle. When it
 * fails, the handle is still to be freed, and the call may be repeated. Blocks, but for no device:
 * it is cleaned after the answer. */
VFB_API vfb_code vfb_release(vfb_connection* connection, vfb_lease_handle* lease,
                             vfb_error** error);
/* Ends a lease by its id, for one whose handle is gone. VFB_NOT_FOUND when it has ended already,
 * also when the id's functions are another generation's by now. Blocks like vfb_release(). */
VFB_API vfb_code vfb_release_id(vfb_connection* connection, uint64_t id, uint64_t generation,
                                vfb_error** error);

/* ---- event loops -------------------------------------------------------------------------------
 *
 * Poll vfb_poll_fd() for POLLIN (nothing else is wanted of it), and when it is readable call
 * vfb_dispatch(), then vfb_lease_result() if a lease was started, and vfb_next_event() until it has
 * no more. None of the calls of this part blocks.
 *
 * One lease may be on its way on a connection; until vfb_lease_result() has it, the calls that
 * block are VFB_BUSY. For more at once use more connections. To give up waiting, close the
 * connection. Any number of leases may be watched meanwhile, up to 1024 on a connection. */

/* One descriptor for the whole life of the connection, which owns it; it is an epoll(7) instance.
 */
VFB_API int vfb_poll_fd(const vfb_connection* connection);
/* Reads and writes what can be at once. VFB_LOST, again at each call: vfbrokerd closed the
 * connection, which is good for vfb_next_event() and vfb_close() only. A connection that owns a
 * lease outlives a restart of vfbrokerd under systemd; leases of processes and guests do in any
 * case, and can be watched over a new connection. Other errors concern vfb_watch(): nothing is
 * watched any more. */
VFB_API vfb_code vfb_dispatch(vfb_connection* connection, vfb_error** error);

/* As vfb_lease(), but does not wait for the answer: it is vfb_lease_result()'s. */
VFB_API vfb_code vfb_lease_start(vfb_connection* connection, const char* pool,
                                 const vfb_lease_options* options, vfb_error** error);
/* What vfb_lease() would have returned, once; VFB_PENDING, with no error object, until it is there.
 */
VFB_API vfb_code vfb_lease_result(vfb_connection* connection, vfb_lease_handle** lease,
                                  vfb_error** error);

/* What happens to a lease. A newer library may add some. */
typedef enum vfb_lease_event {
    /* A function was removed from the machine. Its descriptors are of no use; close them. */
    VFB_LEASE_LOST = 1,
    /* It is asked to be returned: its PF or pool is drained, or the kernel takes a function away
     * and waits until all its descriptors are closed. Give it back when that can be. */
    VFB_LEASE_WANTED = 2,
    /* It is not asked to be returned any more. */
    VFB_LEASE_UNWANTED = 3,
    /* It has ended, and not by vfb_release() of this connection. The last event of a lease. */
    VFB_LEASE_ENDED = 4
} vfb_lease_event;

/* From now on vfb_next_event() tells what happens to that lease, and at first what has happened to
 * it already. It may be of any connection. Goes on over a restart of vfbrokerd, as long as this
 * connection does. Ends with VFB_LEASE_ENDED, vfb_release() or vfb_release_id(). */
VFB_API vfb_code vfb_watch(vfb_connection* connection, uint64_t id, uint64_t generation,
                           vfb_error** error);
/* The oldest event that vfb_dispatch() has read and nobody has fetched, to be freed by
 * vfb_event_free(); NULL when there is none. */
VFB_API vfb_event* vfb_next_event(vfb_connection* connection);

VFB_API vfb_lease_event vfb_event_type(const vfb_event* event);
/* Id and generation of the lease. */
VFB_API uint64_t vfb_event_lease(const vfb_event* event);
VFB_API uint64_t vfb_event_generation(const vfb_event* event);
/* VFB_LEASE_LOST: the function; else NULL. */
VFB_API const char* vfb_event_address(const vfb_event* event);
/* VFB_LEASE_WANTED: why; VFB_LEASE_ENDED: how; for people. Else "". */
VFB_API const char* vfb_event_reason(const vfb_event* event);
/* NULL is allowed. */
VFB_API void vfb_event_free(vfb_event* event);

#ifdef __cplusplus
}
#endif

#endif
