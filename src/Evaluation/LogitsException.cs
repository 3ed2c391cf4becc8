using Trainer.Configuration;

namespace Trainer.Evaluation;

/// <summary>A model's logits are not finite, so that no score can be computed.</summary>
internal sealed class LogitsException(string message) : UserException(message)
{
    /// <summary><exception cref="LogitsException">The loss is infinite or NaN.</exception></summary>
    internal static double RequireFinite(double loss) => double.IsFinite(loss) ? loss : throw new LogitsException(
        $"the negative log-likelihood is {loss}: the model's logits are not finite numbers; its weights are damaged or its training " +
        "diverged");
}
