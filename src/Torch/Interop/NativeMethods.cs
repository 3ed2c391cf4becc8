using System.Runtime.InteropServices;
using TorchSharp;

namespace Trainer.Torch.Interop;

/// <summary>The exports of <c>libtrainer_native</c>, one to one: 0 is success, 1 an error whose text <see cref="tn_last_error"/> holds.</summary>
internal static unsafe partial class NativeMethods
{
    private const string Library = "trainer_native";

    static NativeMethods() => NativeEnvironment.Prepare();

    // Lifetime, properties, data (tensor.cpp)
    [LibraryImport(Library)] internal static partial nint tn_last_error();
    [LibraryImport(Library)] internal static partial long tn_live_tensors();
    [LibraryImport(Library)] internal static partial void tn_tensor_free(nint tensor);
    [LibraryImport(Library)] internal static partial int tn_tensor_alias(TensorHandle tensor, out nint result);
    [LibraryImport(Library)] internal static partial int tn_tensor_defined(TensorHandle tensor);
    [LibraryImport(Library)] internal static partial int tn_tensor_dim(TensorHandle tensor, out long result);
    [LibraryImport(Library)] internal static partial int tn_tensor_numel(TensorHandle tensor, out long result);
    [LibraryImport(Library)] internal static partial int tn_tensor_size(TensorHandle tensor, long dim, out long result);
    [LibraryImport(Library)] internal static partial int tn_tensor_geometry(TensorHandle tensor, long* sizes, long* strides, long capacity, out long rank);
    [LibraryImport(Library)] internal static partial int tn_tensor_type(TensorHandle tensor, out int result);
    [LibraryImport(Library)] internal static partial int tn_tensor_device(TensorHandle tensor, out int type, out int index);
    [LibraryImport(Library)] internal static partial int tn_tensor_storage_offset(TensorHandle tensor, out long result);
    [LibraryImport(Library)] internal static partial int tn_tensor_is_contiguous(TensorHandle tensor, out int result);
    [LibraryImport(Library)] internal static partial int tn_tensor_element_size(TensorHandle tensor, out long result);
    [LibraryImport(Library)] internal static partial int tn_tensor_data(TensorHandle tensor, out nint result);
    [LibraryImport(Library)] internal static partial int tn_tensor_same_storage(TensorHandle left, TensorHandle right, out int result);
    [LibraryImport(Library)] internal static partial int tn_tensor_item(TensorHandle tensor, out Scalar result);
    [LibraryImport(Library)] internal static partial int tn_tensor_version(TensorHandle tensor, out long result);
    [LibraryImport(Library)] internal static partial int tn_tensor_to(TensorHandle tensor, int deviceType, int deviceIndex, int type, int nonBlocking, int copy, out nint result);
    [LibraryImport(Library)] internal static partial int tn_tensor_pin_memory(TensorHandle tensor, out nint result);
    [LibraryImport(Library)] internal static partial int tn_tensor_set_data(TensorHandle tensor, TensorHandle data);

    // Gradients (autograd.cpp)
    [LibraryImport(Library)] internal static partial int tn_grad_mode();
    [LibraryImport(Library)] internal static partial void tn_set_grad_mode(int enabled);
    [LibraryImport(Library)] internal static partial int tn_inference_mode();
    [LibraryImport(Library)] internal static partial int tn_inference_enter(int enabled, out nint guard);
    [LibraryImport(Library)] internal static partial void tn_inference_leave(nint guard);
    [LibraryImport(Library)] internal static partial int tn_requires_grad(TensorHandle tensor, out int result);
    [LibraryImport(Library)] internal static partial int tn_set_requires_grad(TensorHandle tensor, int required);
    [LibraryImport(Library)] internal static partial int tn_is_leaf(TensorHandle tensor, out int result);
    [LibraryImport(Library)] internal static partial int tn_retain_grad(TensorHandle tensor);
    [LibraryImport(Library)] internal static partial int tn_grad(TensorHandle tensor, out nint result);
    [LibraryImport(Library)] internal static partial int tn_set_grad(TensorHandle tensor, TensorHandle grad);
    [LibraryImport(Library)] internal static partial int tn_detach(TensorHandle tensor, out nint result);
    [LibraryImport(Library)] internal static partial int tn_backward(TensorHandle tensor, TensorHandle gradient, int retainGraph, int createGraph);
    [LibraryImport(Library)] internal static partial int tn_autograd_grad(nint* outputs, int outputCount, nint* inputs, int inputCount, nint* gradients, int gradientCount, int retainGraph, int createGraph, int allowUnused, nint* results);

    // Factories and generators (factories.cpp)
    [LibraryImport(Library)] internal static partial int tn_empty(long* sizes, int rank, int type, int deviceType, int deviceIndex, int requiresGrad, out nint result);
    [LibraryImport(Library)] internal static partial int tn_zeros(long* sizes, int rank, int type, int deviceType, int deviceIndex, int requiresGrad, out nint result);
    [LibraryImport(Library)] internal static partial int tn_ones(long* sizes, int rank, int type, int deviceType, int deviceIndex, int requiresGrad, out nint result);
    [LibraryImport(Library)] internal static partial int tn_rand(long* sizes, int rank, int type, int deviceType, int deviceIndex, int requiresGrad, GeneratorHandle generator, out nint result);
    [LibraryImport(Library)] internal static partial int tn_randn(long* sizes, int rank, int type, int deviceType, int deviceIndex, int requiresGrad, GeneratorHandle generator, out nint result);
    [LibraryImport(Library)] internal static partial int tn_full(long* sizes, int rank, Scalar value, int type, int deviceType, int deviceIndex, int requiresGrad, out nint result);
    [LibraryImport(Library)] internal static partial int tn_arange(Scalar start, Scalar stop, Scalar step, int type, int deviceType, int deviceIndex, int requiresGrad, out nint result);
    [LibraryImport(Library)] internal static partial int tn_linspace(double start, double end, long steps, int type, int deviceType, int deviceIndex, int requiresGrad, out nint result);
    [LibraryImport(Library)] internal static partial int tn_eye(long rows, long columns, int type, int deviceType, int deviceIndex, int requiresGrad, out nint result);
    [LibraryImport(Library)] internal static partial int tn_randint(long low, long high, long* sizes, int rank, int type, int deviceType, int deviceIndex, int requiresGrad, GeneratorHandle generator, out nint result);
    [LibraryImport(Library)] internal static partial int tn_randperm(long count, int type, int deviceType, int deviceIndex, int requiresGrad, GeneratorHandle generator, out nint result);
    [LibraryImport(Library)] internal static partial int tn_normal_(TensorHandle tensor, double mean, double deviation, GeneratorHandle generator);
    [LibraryImport(Library)] internal static partial int tn_uniform_(TensorHandle tensor, double from, double to, GeneratorHandle generator);
    [LibraryImport(Library)] internal static partial int tn_bernoulli_(TensorHandle tensor, double probability, GeneratorHandle generator);
    [LibraryImport(Library)] internal static partial int tn_multinomial(TensorHandle tensor, long samples, int replacement, GeneratorHandle generator, out nint result);
    [LibraryImport(Library)] internal static partial int tn_generator_new(int deviceType, int deviceIndex, out nint result);
    [LibraryImport(Library)] internal static partial int tn_generator_default(int deviceType, int deviceIndex, out nint result);
    [LibraryImport(Library)] internal static partial void tn_generator_free(nint generator);
    [LibraryImport(Library)] internal static partial int tn_generator_seed(GeneratorHandle generator, long seed);
    [LibraryImport(Library)] internal static partial int tn_generator_initial_seed(GeneratorHandle generator, out long result);
    [LibraryImport(Library)] internal static partial int tn_generator_state(GeneratorHandle generator, out nint result);
    [LibraryImport(Library)] internal static partial int tn_generator_set_state(GeneratorHandle generator, TensorHandle state);
    [LibraryImport(Library)] internal static partial int tn_manual_seed(long seed);

    // Element by element (pointwise.cpp)
    [LibraryImport(Library)] internal static partial int tn_abs(TensorHandle x, out nint result);
    [LibraryImport(Library)] internal static partial int tn_neg(TensorHandle x, out nint result);
    [LibraryImport(Library)] internal static partial int tn_exp(TensorHandle x, out nint result);
    [LibraryImport(Library)] internal static partial int tn_log(TensorHandle x, out nint result);
    [LibraryImport(Library)] internal static partial int tn_log1p(TensorHandle x, out nint result);
    [LibraryImport(Library)] internal static partial int tn_sqrt(TensorHandle x, out nint result);
    [LibraryImport(Library)] internal static partial int tn_rsqrt(TensorHandle x, out nint result);
    [LibraryImport(Library)] internal static partial int tn_reciprocal(TensorHandle x, out nint result);
    [LibraryImport(Library)] internal static partial int tn_square(TensorHandle x, out nint result);
    [LibraryImport(Library)] internal static partial int tn_sin(TensorHandle x, out nint result);
    [LibraryImport(Library)] internal static partial int tn_cos(TensorHandle x, out nint result);
    [LibraryImport(Library)] internal static partial int tn_tanh(TensorHandle x, out nint result);
    [LibraryImport(Library)] internal static partial int tn_sigmoid(TensorHandle x, out nint result);
    [LibraryImport(Library)] internal static partial int tn_relu(TensorHandle x, out nint result);
    [LibraryImport(Library)] internal static partial int tn_erf(TensorHandle x, out nint result);
    [LibraryImport(Library)] internal static partial int tn_floor(TensorHandle x, out nint result);
    [LibraryImport(Library)] internal static partial int tn_ceil(TensorHandle x, out nint result);
    [LibraryImport(Library)] internal static partial int tn_round(TensorHandle x, out nint result);
    [LibraryImport(Library)] internal static partial int tn_sign(TensorHandle x, out nint result);
    [LibraryImport(Library)] internal static partial int tn_isfinite(TensorHandle x, out nint result);
    [LibraryImport(Library)] internal static partial int tn_isnan(TensorHandle x, out nint result);
    [LibraryImport(Library)] internal static partial int tn_isinf(TensorHandle x, out nint result);
    [LibraryImport(Library)] internal static partial int tn_logical_not(TensorHandle x, out nint result);
    [LibraryImport(Library)] internal static partial int tn_silu(TensorHandle x, out nint result);
    [LibraryImport(Library)] internal static partial int tn_softplus(TensorHandle x, double beta, double threshold, out nint result);
    [LibraryImport(Library)] internal static partial int tn_gelu(TensorHandle x, int tanhApproximation, out nint result);
    [LibraryImport(Library)] internal static partial int tn_mul(TensorHandle a, TensorHandle b, out nint result);
    [LibraryImport(Library)] internal static partial int tn_mul_scalar(TensorHandle a, Scalar b, out nint result);
    [LibraryImport(Library)] internal static partial int tn_div(TensorHandle a, TensorHandle b, out nint result);
    [LibraryImport(Library)] internal static partial int tn_div_scalar(TensorHandle a, Scalar b, out nint result);
    [LibraryImport(Library)] internal static partial int tn_pow(TensorHandle a, TensorHandle b, out nint result);
    [LibraryImport(Library)] internal static partial int tn_pow_scalar(TensorHandle a, Scalar b, out nint result);
    [LibraryImport(Library)] internal static partial int tn_remainder(TensorHandle a, TensorHandle b, out nint result);
    [LibraryImport(Library)] internal static partial int tn_remainder_scalar(TensorHandle a, Scalar b, out nint result);
    [LibraryImport(Library)] internal static partial int tn_eq(TensorHandle a, TensorHandle b, out nint result);
    [LibraryImport(Library)] internal static partial int tn_eq_scalar(TensorHandle a, Scalar b, out nint result);
    [LibraryImport(Library)] internal static partial int tn_ne(TensorHandle a, TensorHandle b, out nint result);
    [LibraryImport(Library)] internal static partial int tn_ne_scalar(TensorHandle a, Scalar b, out nint result);
    [LibraryImport(Library)] internal static partial int tn_lt(TensorHandle a, TensorHandle b, out nint result);
    [LibraryImport(Library)] internal static partial int tn_lt_scalar(TensorHandle a, Scalar b, out nint result);
    [LibraryImport(Library)] internal static partial int tn_le(TensorHandle a, TensorHandle b, out nint result);
    [LibraryImport(Library)] internal static partial int tn_le_scalar(TensorHandle a, Scalar b, out nint result);
    [LibraryImport(Library)] internal static partial int tn_gt(TensorHandle a, TensorHandle b, out nint result);
    [LibraryImport(Library)] internal static partial int tn_gt_scalar(TensorHandle a, Scalar b, out nint result);
    [LibraryImport(Library)] internal static partial int tn_ge(TensorHandle a, TensorHandle b, out nint result);
    [LibraryImport(Library)] internal static partial int tn_ge_scalar(TensorHandle a, Scalar b, out nint result);
    [LibraryImport(Library)] internal static partial int tn_add(TensorHandle a, TensorHandle b, Scalar alpha, out nint result);
    [LibraryImport(Library)] internal static partial int tn_add_scalar(TensorHandle a, Scalar b, out nint result);
    [LibraryImport(Library)] internal static partial int tn_add_(TensorHandle a, TensorHandle b, Scalar alpha);
    [LibraryImport(Library)] internal static partial int tn_add__scalar(TensorHandle a, Scalar b);
    [LibraryImport(Library)] internal static partial int tn_sub(TensorHandle a, TensorHandle b, Scalar alpha, out nint result);
    [LibraryImport(Library)] internal static partial int tn_sub_scalar(TensorHandle a, Scalar b, out nint result);
    [LibraryImport(Library)] internal static partial int tn_sub_(TensorHandle a, TensorHandle b, Scalar alpha);
    [LibraryImport(Library)] internal static partial int tn_sub__scalar(TensorHandle a, Scalar b);
    [LibraryImport(Library)] internal static partial int tn_mul_(TensorHandle a, TensorHandle b);
    [LibraryImport(Library)] internal static partial int tn_mul__scalar(TensorHandle a, Scalar b);
    [LibraryImport(Library)] internal static partial int tn_div_(TensorHandle a, TensorHandle b);
    [LibraryImport(Library)] internal static partial int tn_div__scalar(TensorHandle a, Scalar b);
    [LibraryImport(Library)] internal static partial int tn_maximum(TensorHandle a, TensorHandle b, out nint result);
    [LibraryImport(Library)] internal static partial int tn_minimum(TensorHandle a, TensorHandle b, out nint result);
    [LibraryImport(Library)] internal static partial int tn_logical_and(TensorHandle a, TensorHandle b, out nint result);
    [LibraryImport(Library)] internal static partial int tn_logical_or(TensorHandle a, TensorHandle b, out nint result);
    [LibraryImport(Library)] internal static partial int tn_relu_(TensorHandle x);
    [LibraryImport(Library)] internal static partial int tn_silu_(TensorHandle x);
    [LibraryImport(Library)] internal static partial int tn_gelu_(TensorHandle x);
    [LibraryImport(Library)] internal static partial int tn_zero_(TensorHandle x);
    [LibraryImport(Library)] internal static partial int tn_fill_(TensorHandle x, Scalar value);
    [LibraryImport(Library)] internal static partial int tn_copy_(TensorHandle x, TensorHandle source, int nonBlocking);
    [LibraryImport(Library)] internal static partial int tn_clamp(TensorHandle x, Scalar* low, Scalar* high, out nint result);
    [LibraryImport(Library)] internal static partial int tn_where(TensorHandle condition, TensorHandle a, TensorHandle b, out nint result);
    [LibraryImport(Library)] internal static partial int tn_masked_fill(TensorHandle x, TensorHandle mask, Scalar value, out nint result);
    [LibraryImport(Library)] internal static partial int tn_masked_fill_(TensorHandle x, TensorHandle mask, Scalar value);

    // Views and selections (shape.cpp)
    [LibraryImport(Library)] internal static partial int tn_view(TensorHandle x, long* values, int count, out nint result);
    [LibraryImport(Library)] internal static partial int tn_reshape(TensorHandle x, long* values, int count, out nint result);
    [LibraryImport(Library)] internal static partial int tn_permute(TensorHandle x, long* values, int count, out nint result);
    [LibraryImport(Library)] internal static partial int tn_expand(TensorHandle x, long* values, int count, out nint result);
    [LibraryImport(Library)] internal static partial int tn_repeat(TensorHandle x, long* values, int count, out nint result);
    [LibraryImport(Library)] internal static partial int tn_flip(TensorHandle x, long* values, int count, out nint result);
    [LibraryImport(Library)] internal static partial int tn_unsqueeze(TensorHandle x, long dim, out nint result);
    [LibraryImport(Library)] internal static partial int tn_squeeze(TensorHandle x, long dim, out nint result);
    [LibraryImport(Library)] internal static partial int tn_tril(TensorHandle x, long dim, out nint result);
    [LibraryImport(Library)] internal static partial int tn_triu(TensorHandle x, long dim, out nint result);
    [LibraryImport(Library)] internal static partial int tn_squeeze_all(TensorHandle x, out nint result);
    [LibraryImport(Library)] internal static partial int tn_transpose(TensorHandle x, long dim0, long dim1, out nint result);
    [LibraryImport(Library)] internal static partial int tn_flatten(TensorHandle x, long start, long end, out nint result);
    [LibraryImport(Library)] internal static partial int tn_contiguous(TensorHandle x, out nint result);
    [LibraryImport(Library)] internal static partial int tn_clone(TensorHandle x, out nint result);
    [LibraryImport(Library)] internal static partial int tn_narrow(TensorHandle x, long dim, long start, long length, out nint result);
    [LibraryImport(Library)] internal static partial int tn_select(TensorHandle x, long dim, long index, out nint result);
    [LibraryImport(Library)] internal static partial int tn_slice(TensorHandle x, long dim, long start, long end, long step, out nint result);
    [LibraryImport(Library)] internal static partial int tn_index_select(TensorHandle x, long dim, TensorHandle index, out nint result);
    [LibraryImport(Library)] internal static partial int tn_index_copy_(TensorHandle x, long dim, TensorHandle index, TensorHandle source);
    [LibraryImport(Library)] internal static partial int tn_gather(TensorHandle x, long dim, TensorHandle index, out nint result);
    [LibraryImport(Library)] internal static partial int tn_scatter(TensorHandle x, long dim, TensorHandle index, TensorHandle source, out nint result);
    [LibraryImport(Library)] internal static partial int tn_index(TensorHandle x, TensorHandle index, out nint result);
    [LibraryImport(Library)] internal static partial int tn_repeat_interleave(TensorHandle x, long repeats, long dim, out nint result);
    [LibraryImport(Library)] internal static partial int tn_roll(TensorHandle x, long shift, long dim, out nint result);
    [LibraryImport(Library)] internal static partial int tn_view_as_complex(TensorHandle x, out nint result);
    [LibraryImport(Library)] internal static partial int tn_view_as_real(TensorHandle x, out nint result);
    [LibraryImport(Library)] internal static partial int tn_cat(nint* tensors, int count, long dim, out nint result);
    [LibraryImport(Library)] internal static partial int tn_stack(nint* tensors, int count, long dim, out nint result);
    [LibraryImport(Library)] internal static partial int tn_split(TensorHandle x, long* sizes, int count, long dim, nint* results);
    [LibraryImport(Library)] internal static partial int tn_unbind(TensorHandle x, long dim, nint* results);

    // Reductions and products (reduction.cpp)
    [LibraryImport(Library)] internal static partial int tn_sum(TensorHandle x, long* axes, int count, int keepdim, int type, out nint result);
    [LibraryImport(Library)] internal static partial int tn_mean(TensorHandle x, long* axes, int count, int keepdim, int type, out nint result);
    [LibraryImport(Library)] internal static partial int tn_var(TensorHandle x, long* axes, int count, int unbiased, int keepdim, out nint result);
    [LibraryImport(Library)] internal static partial int tn_norm(TensorHandle x, double order, long* axes, int count, int keepdim, out nint result);
    [LibraryImport(Library)] internal static partial int tn_max(TensorHandle x, out nint result);
    [LibraryImport(Library)] internal static partial int tn_min(TensorHandle x, out nint result);
    [LibraryImport(Library)] internal static partial int tn_all(TensorHandle x, out nint result);
    [LibraryImport(Library)] internal static partial int tn_any(TensorHandle x, out nint result);
    [LibraryImport(Library)] internal static partial int tn_max_dim(TensorHandle x, long dim, int keepdim, out nint values, out nint indices);
    [LibraryImport(Library)] internal static partial int tn_min_dim(TensorHandle x, long dim, int keepdim, out nint values, out nint indices);
    [LibraryImport(Library)] internal static partial int tn_argmax(TensorHandle x, long dim, int keepdim, out nint result);
    [LibraryImport(Library)] internal static partial int tn_argmax_all(TensorHandle x, out nint result);
    [LibraryImport(Library)] internal static partial int tn_topk(TensorHandle x, long k, long dim, int largest, int sorted, out nint values, out nint indices);
    [LibraryImport(Library)] internal static partial int tn_sort(TensorHandle x, long dim, int descending, int stable, out nint values, out nint indices);
    [LibraryImport(Library)] internal static partial int tn_cumsum(TensorHandle x, long dim, int type, out nint result);
    [LibraryImport(Library)] internal static partial int tn_histc(TensorHandle x, long bins, double low, double high, out nint result);
    [LibraryImport(Library)] internal static partial int tn_bincount(TensorHandle x, TensorHandle weights, long least, out nint result);
    [LibraryImport(Library)] internal static partial int tn_logsumexp(TensorHandle x, long dim, int keepdim, out nint result);
    [LibraryImport(Library)] internal static partial int tn_softmax(TensorHandle x, long dim, int type, out nint result);
    [LibraryImport(Library)] internal static partial int tn_log_softmax(TensorHandle x, long dim, int type, out nint result);
    [LibraryImport(Library)] internal static partial int tn_equal(TensorHandle a, TensorHandle b, out int result);
    [LibraryImport(Library)] internal static partial int tn_allclose(TensorHandle a, TensorHandle b, double relative, double absolute, int equalNan, out int result);
    [LibraryImport(Library)] internal static partial int tn_matmul(TensorHandle a, TensorHandle b, out nint result);
    [LibraryImport(Library)] internal static partial int tn_mm(TensorHandle a, TensorHandle b, out nint result);
    [LibraryImport(Library)] internal static partial int tn_bmm(TensorHandle a, TensorHandle b, out nint result);
    [LibraryImport(Library)] internal static partial int tn_einsum([MarshalAs(UnmanagedType.LPUTF8Str)] string equation, nint* tensors, int count, out nint result);

    // Layers and losses (nn.cpp)
    [LibraryImport(Library)] internal static partial int tn_linear(TensorHandle x, TensorHandle weight, TensorHandle bias, out nint result);
    [LibraryImport(Library)] internal static partial int tn_conv1d(TensorHandle x, TensorHandle weight, TensorHandle bias, long stride, long padding, long dilation, long groups, out nint result);
    [LibraryImport(Library)] internal static partial int tn_embedding(TensorHandle weight, TensorHandle indices, long padding, out nint result);
    [LibraryImport(Library)] internal static partial int tn_layer_norm(TensorHandle x, long* shape, int rank, TensorHandle weight, TensorHandle bias, double eps, out nint result);
    [LibraryImport(Library)] internal static partial int tn_rms_norm(TensorHandle x, long* shape, int rank, TensorHandle weight, double eps, out nint result);
    [LibraryImport(Library)] internal static partial int tn_dropout(TensorHandle x, double probability, int training, out nint result);
    [LibraryImport(Library)] internal static partial int tn_dropout_(TensorHandle x, double probability, int training);
    [LibraryImport(Library)] internal static partial int tn_cross_entropy(TensorHandle x, TensorHandle target, TensorHandle weight, long reduction, long ignoreIndex, double labelSmoothing, out nint result);
    [LibraryImport(Library)] internal static partial int tn_nll_loss(TensorHandle x, TensorHandle target, TensorHandle weight, long reduction, long ignoreIndex, out nint result);
    [LibraryImport(Library)] internal static partial int tn_one_hot(TensorHandle x, long classes, out nint result);

    // Attention (attention.cpp)
    [LibraryImport(Library)] internal static partial int tn_sdpa_backend(TensorHandle q, TensorHandle k, TensorHandle v, TensorHandle mask, double dropout, int causal, double scale, int gqa, int only, out int result);
    [LibraryImport(Library)] internal static partial int tn_sdpa(TensorHandle q, TensorHandle k, TensorHandle v, TensorHandle mask, double dropout, int causal, double scale, int gqa, int backend, out nint result);

    // Attention within a band (fused_band_attention.cpp, fused_packed_attention.cpp)
    [LibraryImport(Library)] internal static partial int tn_packed_attention_runs(long width, int rounded);
    [LibraryImport(Library)] internal static partial int tn_packed_attention(TensorHandle packed, TensorHandle angles, long turned, int interleaved, TensorHandle documents, long groups, double scale, long before, long after, KeyedDropout* dropout, out nint result);
    [LibraryImport(Library)] internal static partial int tn_band_attention_runs(TensorHandle q, TensorHandle k, TensorHandle v, out int result);
    [LibraryImport(Library)] internal static partial int tn_band_attention(TensorHandle q, TensorHandle k, TensorHandle v, TensorHandle documents, double scale, long before, long after, KeyedDropout* dropout, out nint result);

    // Attention by tiles (tile_attention.cpp)
    [LibraryImport(Library)] internal static partial int tn_tile_attention(TensorHandle q, TensorHandle k, TensorHandle v, nint* queries, nint* keys, nint* masks, int* joins, int groups, double scale, double softCap, TensorHandle queryDocuments, TensorHandle keyDocuments, TensorHandle bias, long lowest, TensorHandle queryPositions, TensorHandle keyPositions, out nint result);

    // Whole-model updates (optimizer.cpp)
    [LibraryImport(Library)] internal static partial int tn_fused_adamw_(nint* parameters, nint* gradients, nint* averages, nint* squares, nint* steps, int count, double learningRate, double beta1, double beta2, double weightDecay, double epsilon, TensorHandle gradientScale, TensorHandle foundInf);
    [LibraryImport(Library)] internal static partial int tn_clip_grad_norm_(nint* gradients, int count, double maxNorm, double order, out nint result);
    [LibraryImport(Library)] internal static partial int tn_scale_to_norm_(nint* gradients, int count, TensorHandle norm, double maxNorm);

    // Process-wide settings (context.cpp)
    [LibraryImport(Library)] internal static partial nint tn_version();
    [LibraryImport(Library)] internal static partial nint tn_configuration();
    [LibraryImport(Library)] internal static partial int tn_cpu_capability(out nint result);
    [LibraryImport(Library)] internal static partial int tn_num_threads();
    [LibraryImport(Library)] internal static partial int tn_set_num_threads(int count);
    [LibraryImport(Library)] internal static partial int tn_deterministic();
    [LibraryImport(Library)] internal static partial void tn_set_deterministic(int enabled);
    [LibraryImport(Library)] internal static partial void tn_set_float32_matmul_precision([MarshalAs(UnmanagedType.LPUTF8Str)] string precision);
    [LibraryImport(Library)] internal static partial int tn_set_flush_denormal(int enabled);
    [LibraryImport(Library)] internal static partial int tn_limit_thread(int count);

    // CUDA's devices (cuda.cpp)
    [LibraryImport(Library)] internal static partial int tn_built_with_cuda();
    [LibraryImport(Library)] internal static partial int tn_cuda_device_count(out long result);
    [LibraryImport(Library)] internal static partial int tn_cuda_synchronize(long device);
    [LibraryImport(Library)] internal static partial int tn_cuda_set_device(int device);
    [LibraryImport(Library)] internal static partial int tn_cuda_device(int device, long* figures, out nint name);
    [LibraryImport(Library)] internal static partial int tn_cuda_memory(int device, long* figures);
    [LibraryImport(Library)] internal static partial int tn_cuda_reset_peak_memory(int device);

    // Memory of tensors on the CPU (memory.cpp)
    [LibraryImport(Library)] internal static partial void tn_cpu_memory(long* figures, int reset);

    // Activation checkpointing (recompute.cpp)
    [LibraryImport(Library)] internal static partial int tn_recompute_begin(nint run, nint release, nint state, out nint guard);
    [LibraryImport(Library)] internal static partial void tn_recompute_end(nint guard);
    [LibraryImport(Library)] internal static partial void tn_recompute_pause(out nint paused);
    [LibraryImport(Library)] internal static partial void tn_recompute_resume(nint paused);

    // Fused kernels (fused_linear.cpp, fused_activation.cpp, fused_norm.cpp)
    [LibraryImport(Library)] internal static partial int tn_fused_linear(TensorHandle x, TensorHandle weight, TensorHandle bias, out nint result);
    [LibraryImport(Library)] internal static partial int tn_fused_rounded_linear(TensorHandle x, TensorHandle weight, TensorHandle rounded, TensorHandle bias, int coarse, out nint result);
    [LibraryImport(Library)] internal static partial int tn_blocks_pack(TensorHandle numbers, out nint result);
    [LibraryImport(Library)] internal static partial int tn_blocks_unpack(TensorHandle blocks, out nint result);
    [LibraryImport(Library)] internal static partial int tn_blocks_linear(TensorHandle x, TensorHandle blocks, TensorHandle bias, out nint result);
    [LibraryImport(Library)] internal static partial int tn_exponents_run();
    [LibraryImport(Library)] internal static partial int tn_exponents_pack(TensorHandle numbers, out nint result);
    [LibraryImport(Library)] internal static partial int tn_exponents_unpack(TensorHandle bytes, out nint result);
    [LibraryImport(Library)] internal static partial int tn_exponents_linear(TensorHandle x, TensorHandle bytes, TensorHandle bias, out nint result);
    [LibraryImport(Library)] internal static partial int tn_fused_rounded_feed_forward(TensorHandle x, TensorHandle up, TensorHandle roundedUp, TensorHandle upBias, TensorHandle down, TensorHandle roundedDown, TensorHandle downBias, int function, long rowsAtOnce, out nint result);
    [LibraryImport(Library)] internal static partial int tn_fused_cross_entropy(TensorHandle x, TensorHandle weight, TensorHandle rounded, TensorHandle bias, TensorHandle target, double scale, double cap, double smoothing, long rowsAtOnce, out nint result);
    [LibraryImport(Library)] internal static partial int tn_fused_gelu(TensorHandle x, out nint result);
    [LibraryImport(Library)] internal static partial int tn_fused_swiglu(TensorHandle x, out nint result);
    [LibraryImport(Library)] internal static partial int tn_fused_token_losses(TensorHandle logits, TensorHandle target, out nint losses, out nint hits);
    [LibraryImport(Library)] internal static partial int tn_fused_dropout(TensorHandle x, KeyedDropout* dropout, out nint result);
    [LibraryImport(Library)] internal static partial int tn_fused_rows(TensorHandle x, TensorHandle order, TensorHandle inverse, long copies, out nint result);
    [LibraryImport(Library)] internal static partial int tn_fused_norm(TensorHandle x, TensorHandle weight, TensorHandle bias, double epsilon, int centred, int rounds, out nint result);
    [LibraryImport(Library)] internal static partial int tn_fused_residual_norm(TensorHandle x, TensorHandle branch, TensorHandle weight, TensorHandle bias, double epsilon, int centred, int rounds, out nint sum, out nint norm);

    // A token's way through a model (token_program.cpp)
    [LibraryImport(Library)] internal static partial int tn_token_program(long batch, out nint result);
    [LibraryImport(Library)] internal static partial void tn_token_program_free(nint program);
    [LibraryImport(Library)] internal static partial int tn_token_vector(TokenProgramHandle program, long width, out long result);
    [LibraryImport(Library)] internal static partial int tn_token_embed(TokenProgramHandle program, TensorHandle table, double scale, long to);
    [LibraryImport(Library)] internal static partial int tn_token_place(TokenProgramHandle program, TensorHandle table, long to);
    [LibraryImport(Library)] internal static partial int tn_token_norm(TokenProgramHandle program, long from, long to, long start, long count, TensorHandle weight, TensorHandle bias, double epsilon, int centred);
    [LibraryImport(Library)] internal static partial int tn_token_linear(TokenProgramHandle program, long from, long to, TensorHandle weight, TensorHandle bias, int adds);
    [LibraryImport(Library)] internal static partial int tn_token_turn(TokenProgramHandle program, long vector, long count, long width, long turned, TensorHandle table, int neighbours);
    [LibraryImport(Library)] internal static partial int tn_token_attend(TokenProgramHandle program, long from, long to, TensorHandle keys, TensorHandle values, TensorHandle at, double scale, long window);
    [LibraryImport(Library)] internal static partial int tn_token_activate(TokenProgramHandle program, long from, long to, int kind);
    [LibraryImport(Library)] internal static partial int tn_token_add(TokenProgramHandle program, long from, long to);
    [LibraryImport(Library)] internal static partial int tn_token_bound(TokenProgramHandle program, long vector, double scale, double cap);
    [LibraryImport(Library)] internal static partial int tn_token_run(TokenProgramHandle program, TensorHandle tokens, long position, long vector, out nint result);
}
