using System.Text;

namespace Trainer.Data.HuggingFace;

/// <summary>Holds a fused token back until it is whole, for stages that cannot work on parts.</summary>
internal sealed class GatherStage : DecoderStage
{
    private readonly StringBuilder text = new();

    public override void Push(string text, bool begins) => this.text.Append(text);

    public override void Flush()
    {
        if (text.Length > 0)
            Next.Push(text.ToString(), begins: true);
        text.Clear();
        base.Flush();
    }
}
