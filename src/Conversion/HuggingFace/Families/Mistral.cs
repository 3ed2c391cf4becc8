namespace Trainer.Conversion.HuggingFace.Families;

/// <summary>Mistral 7B (Jiang et al. 2023, arXiv 2310.06825): Llama with a sliding window.</summary>
internal sealed class Mistral : Llama
{
    public override string ModelType => "mistral";

    public override string Architecture => "MistralForCausalLM";
}
