namespace Trainer.Inference;

/// <summary>How the vectors of a text's tokens become one.</summary>
public enum Pooling
{
    /// <summary>Their mean: what encoders are mostly used with (Reimers and Gurevych 2019, arXiv 1908.10084).</summary>
    Mean,

    /// <summary>The first token's, such as [CLS].</summary>
    First,

    /// <summary>The last token's: in a decoder the only one that has seen the whole text.</summary>
    Last,
}
