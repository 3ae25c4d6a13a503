import argparse
import os
import pickle

import numpy as np


def main(argv=None):
    parser = argparse.ArgumentParser(description="DD2424 assignment 3, network with any number of layers")
    parser.add_argument("--data", default="cifar-10-batches-py")
    parser.add_argument("--layers", type=int, nargs="*", default=[20, 15])
    parser.add_argument("--lam", type=float, default=0.003)
    parser.add_argument("--batch", type=int, default=150)
    parser.add_argument("--eta-min", type=float, default=1e-5)
    parser.add_argument("--eta-max", type=float, default=1e-1)
    parser.add_argument("--ns", type=int, default=0, help="0 means two epochs")
    parser.add_argument("--cycles", type=int, default=1)
    parser.add_argument("--limit", type=int, default=2000, help="how many training images")
    parser.add_argument("--seed", type=int, default=5)
    args = parser.parse_args(argv)

    rng = np.random.default_rng(args.seed)

    def read(name, limit=None):
        with open(os.path.join(args.data, name), "rb") as f:
            stuff = pickle.load(f, encoding="bytes")
        x = np.array(stuff[b"data"][:limit], dtype=np.float64).T
        y = np.array(stuff[b"labels"][:limit])
        onehot = np.zeros((10, len(y)))
        for i, label in enumerate(y):
            onehot[label, i] = 1
        return x, onehot, y

    x_tr, Y_tr, y_tr = read("data_batch_1", args.limit)
    x_va, Y_va, y_va = read("data_batch_2", 2000)
    x_te, Y_te, y_te = read("test_batch", 2000)

    def scaler(reference):
        mu = reference.mean(axis=1, keepdims=True)
        sigma = reference.std(axis=1, keepdims=True)

        def apply(x):
            return (x - mu) / sigma

        return apply

    scale = scaler(x_tr)
    x_tr, x_va, x_te = scale(x_tr), scale(x_va), scale(x_te)

    dims = [x_tr.shape[0]] + args.layers + [10]
    W = [rng.normal(0, np.sqrt(2 / a), size=(b, a)) for a, b in zip(dims[:-1], dims[1:])]
    b = [np.zeros((size, 1)) for size in dims[1:]]
    k = len(W)

    n = x_tr.shape[1]
    per_epoch = -(-n // args.batch)
    ns = args.ns if args.ns > 0 else 2 * per_epoch

    def forward(x):
        hs = [x]
        for i in range(k - 1):
            s = W[i] @ hs[-1] + b[i]
            hs.append(np.where(s > 0, s, 0))
        s = W[-1] @ hs[-1] + b[-1]
        s = s - np.max(s, axis=0, keepdims=True)
        p = np.exp(s) / np.sum(np.exp(s), axis=0, keepdims=True)
        return hs, p

    def cost(x, Y):
        _, p = forward(x)
        l = -np.log(np.einsum("ij,ij->j", Y, p) + 1e-14)
        return np.mean(l) + args.lam * sum(np.sum(w * w) for w in W)

    def accuracy(x, y):
        _, p = forward(x)
        return np.mean(np.argmax(p, axis=0) == y)

    def learning_rate(t):
        l, r = divmod(t, 2 * ns)
        width = args.eta_max - args.eta_min
        return args.eta_min + width * r / ns if r < ns else args.eta_max - width * (r - ns) / ns

    def gradients(x, Y):
        hs, p = forward(x)
        g = (p - Y) / x.shape[1]
        dW, db = [None] * k, [None] * k
        for i in range(k - 1, -1, -1):
            dW[i] = g @ hs[i].T + 2 * args.lam * W[i]
            db[i] = np.sum(g, axis=1, keepdims=True)
            if i > 0:
                g = (W[i].T @ g) * (hs[i] > 0)
        return dW, db

    def epochs():
        t = 0
        while True:
            order = rng.permutation(n)
            for start in range(0, n, args.batch):
                if t == 2 * ns * args.cycles:
                    return
                yield t, order[start:start + args.batch]
                t += 1

    def train():
        history = []
        for t, chosen in epochs():
            eta = learning_rate(t)
            dW, db = gradients(x_tr[:, chosen], Y_tr[:, chosen])
            for i in range(k):
                W[i] -= eta * dW[i]
                b[i] -= eta * db[i]
            if (t + 1) % per_epoch == 0:
                history.append((t + 1, cost(x_tr, Y_tr), cost(x_va, Y_va), accuracy(x_va, y_va)))
                print("after %d updates: train cost %.4f, val cost %.4f, val accuracy %.4f" % history[-1])
        return history

    history = train()
    print("test accuracy: %.4f" % accuracy(x_te, y_te))
    return history


if __name__ == "__main__":
    main()
