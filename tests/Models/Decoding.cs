using static TorchSharp.torch;

namespace Trainer.Models.Tests;

/// <summary>Decoding in steps.</summary>
internal static class Decoding
{
    /// <summary>Logits of all tokens, given to the model some at a time.</summary>
    public static Tensor Run(LanguageModel model, Tensor tokens, int[] steps)
    {
        using DecodingState state = model.NewDecodingState((int)tokens.shape[0], (int)tokens.shape[1]);
        List<Tensor> logits = [];
        foreach (int step in steps) logits.Add(model.forward(tokens.narrow(1, state.Length, step), state));
        return cat([.. logits], 1);
    }
}
