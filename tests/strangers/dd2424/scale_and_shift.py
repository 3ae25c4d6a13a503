import pickle
import numpy as np
from sklearn import preprocessing
from sklearn.model_selection import train_test_split

FOLDER = 'cifar-10-batches-py/'
tiny = 1e-11


class Statistics:
    def __init__(self):
        self.recent = None
        self.slow = None

    def see(self, s):
        self.recent = s.mean(axis=1, keepdims=True), s.var(axis=1, keepdims=True)
        self.slow = self.recent if self.slow is None else tuple(0.9 * o + 0.1 * r for o, r in zip(self.slow, self.recent))

    def of(self, phase):
        return self.recent if phase == 'fitting' else self.slow


class Classifier:
    """made from the data alone: nobody else can call its constructor"""

    def __init__(self, data, hidden, decay):
        widths = [data.x.shape[0]] + hidden + [data.hot.shape[0]]
        rng = np.random.RandomState(3)
        self.weight_decay = decay
        self.blocks = []
        for a, b in zip(widths[:-1], widths[1:]):
            self.blocks.append({
                'weight': rng.normal(0, 1 / np.sqrt(a), (b, a)),
                'bias': np.zeros((b, 1)),
                'scale': np.ones((b, 1)),
                'shift': np.zeros((b, 1)),
                'stats': Statistics(),
            })
        for name in ('scale', 'shift', 'stats'):
            del self.blocks[-1][name]

    def evaluate(self, X, phase):
        trail = [(None, None, X)]
        for block in self.blocks[:-1]:
            s = block['weight'] @ X + block['bias']
            if phase == 'fitting':
                block['stats'].see(s)
            mu, var = block['stats'].of(phase)
            hat = (s - mu) / np.sqrt(var + tiny)
            X = np.maximum(block['scale'] * hat + block['shift'], 0)
            trail.append((s, hat, X))
        z = self.blocks[-1]['weight'] @ X + self.blocks[-1]['bias']
        e = np.exp(z - z.max(axis=0))
        return trail, e / e.sum(axis=0)

    def compute_cost(self, Y, P):
        loss = -np.log((Y * P).sum(axis=0)).mean()
        return loss, loss + self.weight_decay * sum((block['weight'] ** 2).sum() for block in self.blocks)

    def compute_gradients(self, Y, P, trail):
        n = Y.shape[1]
        G = P - Y
        found = []
        for i in reversed(range(len(self.blocks))):
            block = self.blocks[i]
            own = []
            if i < len(self.blocks) - 1:
                s, hat, out = trail[i + 1]
                G = G * (out > 0)
                own = [(G * hat).mean(axis=1, keepdims=True), G.mean(axis=1, keepdims=True)]
                mu, var = block['stats'].of('fitting')
                G = G * block['scale'] / np.sqrt(var + tiny)
                G = G - G.mean(axis=1, keepdims=True) - hat * (G * hat).mean(axis=1, keepdims=True)
            gw = G @ trail[i][2].T / n + 2 * self.weight_decay * block['weight']
            found.insert(0, [gw, G.mean(axis=1, keepdims=True)] + own)
            G = block['weight'].T @ G
        return found

    def backpropagate(self, Y, P, trail, eta):
        grads = self.compute_gradients(Y, P, trail)
        for block, own in zip(self.blocks, grads):
            for name, g in zip(('weight', 'bias', 'scale', 'shift'), own):
                block[name] -= eta * g


class Images:
    def __init__(self, x, hot):
        self.x, self.hot = x, hot


with open(FOLDER + 'data_batch_1', 'rb') as f:
    d = pickle.load(f, encoding='bytes')
coder = preprocessing.LabelBinarizer()
coder.fit(range(10))
pixels, others, y, y_others = train_test_split(d[b'data'][:2000] / 255, np.array(d[b'labels'][:2000]), test_size=0.3)
middle, spread = pixels.mean(axis=0), pixels.std(axis=0)
train = Images(((pixels - middle) / spread).T, coder.transform(y).T)
held_out = Images(((others - middle) / spread).T, coder.transform(y_others).T)

net = Classifier(train, [14, 12], 0.01)
for epoch in range(6):
    order = np.random.permutation(train.x.shape[1])
    for j in range(0, len(order), 100):
        X, Y = train.x[:, order[j:j + 100]], train.hot[:, order[j:j + 100]]
        trail, P = net.evaluate(X, 'fitting')
        net.backpropagate(Y, P, trail, 0.01)
    trail, P = net.evaluate(held_out.x, 'testing')
    print(net.compute_cost(held_out.hot, P))
