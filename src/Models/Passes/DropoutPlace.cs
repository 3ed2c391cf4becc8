namespace Trainer.Models;

/// <summary>What is dropped in a layer; the embeddings stand before the first.</summary>
internal enum DropoutPlace
{
    /// <summary>The embeddings of tokens and positions.</summary>
    Embedding,

    /// <summary>What the mixer adds to the residual stream.</summary>
    Mixer,

    /// <summary>What attention to an encoder adds to it.</summary>
    Cross,

    /// <summary>What the feed-forward layer adds to it.</summary>
    FeedForward,

    /// <summary>Weights of attention.</summary>
    Weights,

    /// <summary>Weights of attention to an encoder.</summary>
    CrossWeights,
}
