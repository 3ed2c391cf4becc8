using Trainer.Configuration;

namespace Trainer.Evaluation;

/// <summary>A model's logits are not finite, so no figure can be computed from them.</summary>
internal sealed class LogitsException(string message) : UserException(message)
{
    /// <summary>Returns a finite loss as it is.</summary>
    /// <exception cref="LogitsException">It is infinite or NaN.</exception>
    internal static double RequireFinite(double loss) => double.IsFinite(loss) ? loss : throw new LogitsException(
        $"the negative log-likelihood is {loss}: the model's logits are not finite numbers; its weights are damaged or its training " +
        "diverged");
}
