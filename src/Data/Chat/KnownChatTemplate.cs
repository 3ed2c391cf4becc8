namespace Trainer.Data.Chat;

/// <summary>A chat template by name. <c>Source</c> writes what the published template writes, and marks with <c>{% generation %}</c> what an
/// assistant says. <c>SpecialTokens</c> are written by it and must be tokens.</summary>
internal sealed record KnownChatTemplate(
    string Name, string Source, string? BosToken, string EosToken, IReadOnlyList<string> SpecialTokens)
{
    private const string Alternates = """
        {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
            {{- raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
        {%- endif %}
        """;

    /// <summary>ChatML (OpenAI), without a system turn of its own.</summary>
    public static KnownChatTemplate ChatMl { get; } = new(
        "chatml",
        """
        {%- for message in messages %}
            {{- '<|im_start|>' + message['role'] + '\n' }}
            {%- if message['role'] == 'assistant' %}
                {%- generation %}{{- message['content'] + '<|im_end|>' }}{%- endgeneration %}
            {%- else %}
                {{- message['content'] + '<|im_end|>' }}
            {%- endif %}
            {{- '\n' }}
        {%- endfor %}
        {%- if add_generation_prompt %}
            {{- '<|im_start|>assistant\n' }}
        {%- endif %}
        """, null, "<|im_end|>", ["<|im_start|>", "<|im_end|>"]);

    /// <summary>All of them; add new ones here.</summary>
    public static IReadOnlyList<KnownChatTemplate> All { get; } =
    [
        ChatMl,
        new("llama3",
            """
            {%- for message in messages %}
                {%- if loop.first %}
                    {{- bos_token }}
                {%- endif %}
                {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' }}
                {%- if message['role'] == 'assistant' %}
                    {%- generation %}{{- message['content'] | trim + '<|eot_id|>' }}{%- endgeneration %}
                {%- else %}
                    {{- message['content'] | trim + '<|eot_id|>' }}
                {%- endif %}
            {%- endfor %}
            {%- if add_generation_prompt %}
                {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
            {%- endif %}
            """, "<|begin_of_text|>", "<|eot_id|>", ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]),
        new("mistral",
            $$$"""
            {{- bos_token }}
            {%- for message in messages %}
            {{{Alternates}}}
                {%- if message['role'] == 'user' %}
                    {{- '[INST] ' + message['content'] + ' [/INST]' }}
                {%- elif message['role'] == 'assistant' %}
                    {%- generation %}{{- message['content'] + eos_token }}{%- endgeneration %}
                {%- else %}
                    {{- raise_exception('Only user and assistant roles are supported!') }}
                {%- endif %}
            {%- endfor %}
            """, "<s>", "</s>", ["<s>", "</s>"]),
        new("gemma",
            $$$"""
            {{- bos_token }}
            {%- if messages[0]['role'] == 'system' %}
                {{- raise_exception('System role not supported') }}
            {%- endif %}
            {%- for message in messages %}
            {{{Alternates}}}
                {%- if message['role'] == 'assistant' %}
                    {{- '<start_of_turn>model\n' }}
                    {%- generation %}{{- message['content'] | trim + '<end_of_turn>' }}{%- endgeneration %}
                    {{- '\n' }}
                {%- else %}
                    {{- '<start_of_turn>' + message['role'] + '\n' + message['content'] | trim + '<end_of_turn>\n' }}
                {%- endif %}
            {%- endfor %}
            {%- if add_generation_prompt %}
                {{- '<start_of_turn>model\n' }}
            {%- endif %}
            """, "<bos>", "<end_of_turn>", ["<bos>", "<start_of_turn>", "<end_of_turn>"]),
        new("zephyr",
            """
            {%- for message in messages %}
                {%- if message['role'] == 'assistant' %}
                    {{- '<|assistant|>\n' }}
                    {%- generation %}{{- message['content'] + eos_token }}{%- endgeneration %}
                    {{- '\n' }}
                {%- elif message['role'] == 'user' or message['role'] == 'system' %}
                    {{- '<|' + message['role'] + '|>\n' + message['content'] + eos_token + '\n' }}
                {%- else %}
                    {{- raise_exception('Only system, user and assistant roles are supported!') }}
                {%- endif %}
                {%- if loop.last and add_generation_prompt %}
                    {{- '<|assistant|>\n' }}
                {%- endif %}
            {%- endfor %}
            """, null, "</s>", ["</s>"]),
    ];

    public static IEnumerable<string> Names => All.Select(known => known.Name);

    /// <summary>The template as other programs read it, some of which do not know the tag.</summary>
    public string WithoutMarks => Source.Replace("{%- generation %}", "").Replace("{%- endgeneration %}", "");

    public static KnownChatTemplate? Find(string name) => All.FirstOrDefault(known => known.Name == name);
}
