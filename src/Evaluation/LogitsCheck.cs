namespace Trainer.Evaluation;

/// <summary>Whether a model says anything at all.</summary>
internal static class LogitsCheck
{
    /// <summary>A loss that is a number.</summary>
    /// <exception cref="LogitsException">It is not.</exception>
    public static double Finite(double loss) => double.IsFinite(loss) ? loss : throw new LogitsException(
        $"the negative log-likelihood is {loss}: the model's logits are not finite numbers; its weights are damaged or its training diverged");
}
