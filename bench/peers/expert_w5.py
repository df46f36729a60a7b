"""w5 as an expert runs it on a CPU: compiled, fused optimiser, and the fastest precision."""

import torch
from language import make_optimizer, read_text, test_loss, train
from report import read_options
from sequence_networks import GPT


def main() -> None:
    options = read_options(precisions=("float32", "medium", "bf16"))
    if options.precision == "medium":
        torch.set_float32_matmul_precision("medium")
    torch.manual_seed(1337)
    train_codes, test_codes, kinds = read_text(options.data)
    network = GPT(kinds)
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bf16")
    optimizer = make_optimizer(network, fused=True)
    report = train(torch.compile(network), network, optimizer, train_codes, options, context=autocast)
    report.test_loss = test_loss(network, test_codes)
    report.show(options)


if __name__ == "__main__":
    main()
