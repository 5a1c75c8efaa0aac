/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The public header is C, and its initialiser too. */
#include <vfbroker/vfbroker.h>

vfb_lease_options initial_options_in_c(void);

vfb_lease_options initial_options_in_c(void) {
    vfb_lease_options options = VFB_LEASE_OPTIONS_INIT;
    return options;
}
