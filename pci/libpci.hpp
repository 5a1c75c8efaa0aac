// SPDX-License-Identifier: GPL-2.0-or-later
//
// libpci's header declares C functions without saying so to C++.
#pragma once

extern "C" {
#include <pci/pci.h>
}
