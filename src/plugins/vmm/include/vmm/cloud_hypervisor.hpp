// SPDX-License-Identifier: GPL-2.0-or-later
//
// CloudHypervisor: a running Cloud Hypervisor, by the REST API on its Unix socket (docs/api.md of
// Cloud Hypervisor). With the iommufd backend it gets the unbound cdev of each function with
// vm.add-device (version 53; started with --platform iommufd=on: the context is its own), with the
// group backend the path of the function.
#pragma once

#include <cstdint>
#include <memory>

#include "proto/json.hpp"
#include "vmm/vmm.hpp"

namespace vfb::vmm {

class Peer;

class CloudHypervisor : public Vmm {
public:
    static Result<std::unique_ptr<Vmm>> connect(const std::string& path);
    explicit CloudHypervisor(Peer peer);
    ~CloudHypervisor() override;

    [[nodiscard]] const ProcessId& process() const override { return process_; }
    Result<std::uint64_t> pinned_memory(std::size_t more) override;
    Result<> plug(const client::Lease& lease, const std::vector<std::string>& options) override;
    Result<bool> has(const Plugged& plugged) override;
    // Returns when it is asked for: there is no message when the guest has let go. The lease may
    // end then, as its functions wait for their last holder.
    Result<> unplug(const Plugged& plugged, std::chrono::milliseconds timeout) override;

private:
    struct Response {
        int status = 0;
        std::string body;
    };
    Result<> identify();
    Result<Response> request(const std::string& method, const std::string& endpoint,
                             const proto::Json& body, int descriptor = -1);
    Result<Response> read_response();
    Result<proto::Json> info();

    std::unique_ptr<Peer> peer_;
    ProcessId process_;
    std::string input_;
};

}  // namespace vfb::vmm
