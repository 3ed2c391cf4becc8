// Shapes: B batch, T positions, C model dimension.
using Trainer.Torch;
using Trainer.Transformers.Precision;
using static TorchSharp.torch;

namespace Trainer.Transformers.FeedForward;

/// <summary>The part of a block that treats each position by itself.</summary>
internal abstract class FeedForwardModule(string name) : nn.Module(name)
{
    /// <summary>Computes the layer.</summary>
    /// <param name="x">(B, T, C)</param>
    /// <param name="pass">Takes what the layer wants added to the objective.</param>
    /// <returns>(B, T, C)</returns>
    public abstract Tensor Run(Tensor x, ForwardPass pass);

    /// <summary>Writes its steps for a token, if it has any.</summary>
    /// <param name="plan">Where to.</param>
    /// <param name="from">(C)</param>
    /// <param name="to">(C)</param>
    /// <param name="adds">Whether the result is added to what is there.</param>
    /// <returns>Whether they are written; if not, the plan is of no use.</returns>
    public virtual bool Write(TokenPlan plan, TokenVector from, TokenVector to, bool adds) => false;

    /// <summary>Writes two matrices and an activation between them.</summary>
    private protected static bool Write(TokenPlan plan, TokenVector from, TokenVector to, bool adds, (CastLinear Up, Activation Function, CastLinear Down) layer)
    {
        TokenVector before = plan.Vector(layer.Up.Outputs), after = plan.Vector(layer.Down.Inputs);
        layer.Up.Write(plan, from, before);
        plan.Program.Activate(before, after, layer.Function.Step);
        layer.Down.Write(plan, after, to, adds);
        return true;
    }

    /// <summary>Two matrices around an activation, three where it is gated.</summary>
    /// <param name="parts">What the parts of the model share.</param>
    /// <param name="activation">The function between the matrices.</param>
    /// <param name="width">Width of the hidden layer, F.</param>
    /// <param name="bias">Whether there are biases; null for the model's choice.</param>
    public static FeedForwardModule Of(ModelParts parts, Activation activation, int width, bool? bias) =>
        activation.Gated ? new GatedFeedForward(parts, activation, width, bias) : new PlainFeedForward(parts, activation, width, bias);
}
