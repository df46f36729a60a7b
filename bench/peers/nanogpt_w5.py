"""w5 in the manner of nanoGPT: a plain loop in float32, eager or compiled."""

import torch
from language import make_optimizer, read_text, test_loss, train
from report import read_options
from sequence_networks import GPT


def main() -> None:
    options = read_options(backends=("eager", "compile"))
    torch.manual_seed(1337)
    train_codes, test_codes, kinds = read_text(options.data)
    network = GPT(kinds)
    model = torch.compile(network) if options.backend == "compile" else network
    report = train(model, network, make_optimizer(network, fused=False), train_codes, options)
    report.test_loss = test_loss(network, test_codes)
    report.show(options)


if __name__ == "__main__":
    main()
